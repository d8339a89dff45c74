/**
 * Makes a table of the past anew, with the columns that the live one has by then and with all rows that it holds, so that a process of the version before goes
 * on with it: that writes whole rows, and reads by names.
 *
 * @param live the live table @param more the columns that the past has beside those, and its key
 */
const wider = (live: string, more: string) => `
  create table past_${live}_wider (like ${live}, at_version bigint not null, ${more});
  do $$
  declare
    kept text := (
      select string_agg(quote_ident(attname), ', ') from pg_attribute
      where attrelid = 'past_${live}'::regclass and attnum > 0 and not attisdropped
    );
  begin
    execute format('insert into past_${live}_wider (%1$s) select %1$s from past_${live}', kept);
  end $$;
  drop table past_${live};
  alter table past_${live}_wider rename to past_${live};
`

const MAILBOX_INDEXES = `
  create index past_mailboxes_removed on past_mailboxes (account_id) where removed;
  create index past_mailboxes_by_id on past_mailboxes (mailbox_id);
`

/** Widens the table of the past of mailboxes. */
export const WIDER_PAST_MAILBOXES =
  wider('mailboxes', 'removed boolean not null, primary key (account_id, mailbox_id, at_version)') + MAILBOX_INDEXES

/** Widens the table of the past of accounts. */
export const WIDER_PAST_ACCOUNTS = wider('accounts', 'primary key (account_id, at_version)')

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
