import type { MigrationInterface, QueryRunner } from 'typeorm'

/**
 * What the offline model keeps: its settings with the account, the server's copies of what was collected, how full the
 * maildrop was, and when the next run is due. All but the last are projections; the tables of the past of accounts are made
 * anew, with the new columns, and folded again at the start.
 */
export class Offline1764200000000 implements MigrationInterface {
  name = 'Offline1764200000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table accounts
        add authentication text not null default 'PASSWORD',
        add deletion_policy json,
        add collection json,
        add maildrop json;
      drop table past_accounts;
      create table past_accounts (like accounts, at_version bigint not null, primary key (account_id, at_version));

      create table server_copies (
        message_id uuid primary key,
        account_id uuid not null,
        mailbox text not null,
        uid_validity bigint,
        uid bigint,
        uidl text,
        size bigint not null,
        header_hash bytea,
        sha256 bytea,
        internal_date timestamptz not null,
        collected_at timestamptz not null,
        state text not null
      );
      -- what is known of an account's server, to be compared with its list
      create index server_copies_of_account on server_copies (account_id);

      create table maildrop_measures (
        account_id uuid not null,
        version bigint not null,
        at timestamptz not null,
        messages bigint not null,
        bytes bigint not null,
        bytes_limit bigint,
        primary key (account_id, version)
      );

      -- when an account is worked on next: of no account's history, and made anew where it is lost
      create table schedule (
        account_id uuid primary key,
        due_at timestamptz not null
      );
    `)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop table schedule, maildrop_measures, server_copies, past_accounts;
      alter table accounts drop authentication, drop deletion_policy, drop collection, drop maildrop;
      create table past_accounts (like accounts, at_version bigint not null, primary key (account_id, at_version));
    `)
  }
}
