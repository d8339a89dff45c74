/**
 * Makes the table of the past of mailboxes anew, with the columns that the live one has by then and with all rows that it holds, so that a process of the
 * version before goes on with it: that writes whole rows, and reads by names.
 */
export const WIDER_PAST_MAILBOXES = `
  create table past_mailboxes_wider (
    like mailboxes, at_version bigint not null, removed boolean not null,
    primary key (account_id, mailbox_id, at_version)
  );
  do $$
  declare
    kept text := (
      select string_agg(quote_ident(attname), ', ') from pg_attribute
      where attrelid = 'past_mailboxes'::regclass and attnum > 0 and not attisdropped
    );
  begin
    execute format('insert into past_mailboxes_wider (%1$s) select %1$s from past_mailboxes', kept);
  end $$;
  drop table past_mailboxes;
  alter table past_mailboxes_wider rename to past_mailboxes;
  create index past_mailboxes_removed on past_mailboxes (account_id) where removed;
  create index past_mailboxes_by_id on past_mailboxes (mailbox_id);
`

/** Makes the table of the past of accounts anew, in the same way. */
export const WIDER_PAST_ACCOUNTS = `
  create table past_accounts_wider (
    like accounts, at_version bigint not null, primary key (account_id, at_version)
  );
  do $$
  declare
    kept text := (
      select string_agg(quote_ident(attname), ', ') from pg_attribute
      where attrelid = 'past_accounts'::regclass and attnum > 0 and not attisdropped
    );
  begin
    execute format('insert into past_accounts_wider (%1$s) select %1$s from past_accounts', kept);
  end $$;
  drop table past_accounts;
  alter table past_accounts_wider rename to past_accounts;
`

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
