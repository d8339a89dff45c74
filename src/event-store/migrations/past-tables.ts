/**
 * Makes the tables of the past of accounts and mailboxes anew, with the columns that the live ones have by then. What they held
 * follows from the log, and is folded again at the start.
 */
export const PAST_TABLES = `
  drop table past_accounts, past_mailboxes;
  create table past_accounts (like accounts, at_version bigint not null, primary key (account_id, at_version));
  create table past_mailboxes (
    like mailboxes, at_version bigint not null, removed boolean not null,
    primary key (account_id, mailbox_id, at_version)
  );
  create index past_mailboxes_removed on past_mailboxes (account_id) where removed;
  create index past_mailboxes_by_id on past_mailboxes (mailbox_id);
`
