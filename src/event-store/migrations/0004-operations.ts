import type { MigrationInterface, QueryRunner } from 'typeorm'
import { PAST_TABLES } from './past-tables.js'

/**
 * Operations on mail that is on its server: what was asked for, what waits, and where the server has what is shown otherwise
 * here. All are projections; the tables of the past of accounts and mailboxes are made anew, with the new columns, and folded
 * again at the start.
 */
export class Operations1764300000000 implements MigrationInterface {
  name = 'Operations1764300000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- a message that the server has not numbered yet
      alter table messages alter uid drop not null, alter uid_validity drop not null;
      alter table past_messages alter uid drop not null, alter uid_validity drop not null;
      alter table past_message_states alter uid drop not null, alter uid_validity drop not null;

      alter table mailboxes
        add server_path text,
        add server_subscribed boolean,
        add hidden boolean not null default false,
        add held_deletion bigint,
        add deletion_confirmed boolean not null default false;
      alter table accounts
        add conflict_policy text not null default 'ASK',
        add offline_until timestamptz;
      ${PAST_TABLES}

      -- messages of which the server has something else than is shown
      create table server_places (
        message_id uuid primary key,
        account_id uuid not null,
        state text not null,
        mailbox_id uuid,
        uid_validity bigint,
        uid bigint,
        flags text[] not null,
        modseq numeric(20),
        fingerprint bytea not null,
        internal_date timestamptz not null,
        email_id text
      );
      -- what an upload begins with, and what a report of a mailbox is compared with
      create index server_places_of_account on server_places (account_id, mailbox_id);

      create table operations (
        operation_id uuid primary key,
        account_id uuid not null,
        kind text not null,
        mailbox_id uuid,
        retry_of uuid,
        requested_at timestamptz not null,
        requested_version bigint not null,
        version bigint not null,
        messages bigint not null,
        state text not null,
        reason text,
        settled_at timestamptz,
        applied bigint not null default 0,
        superseded bigint not null default 0,
        rejected bigint not null default 0,
        undone bigint not null default 0
      );
      -- an account's operations, newest first
      create index operations_of_account on operations (account_id, requested_version);
      -- those that wait, which are few among many
      create index operations_waiting on operations (account_id, requested_version) where state in ('PENDING', 'SENT');

      -- what operations change of messages, while they wait, or where they were rejected
      create table operation_messages (
        operation_id uuid not null,
        message_id uuid not null,
        account_id uuid not null,
        requested_version bigint not null,
        effect json not null,
        outcome text,
        primary key (operation_id, message_id)
      );
      -- what waits of a message
      create index operation_messages_waiting on operation_messages (message_id) where outcome is null;

      -- messages as the server has them, as far as known
      create view server_messages as
        select message_id, account_id, mailbox_id, uid_validity, uid, modseq, flags, fingerprint, internal_date, email_id,
          false as apart
        from messages where not exists (
          select from server_places where server_places.message_id = messages.message_id)
        union all
        select message_id, account_id, mailbox_id, uid_validity, uid, modseq, flags, fingerprint, internal_date, email_id,
          true
        from server_places where state = 'THERE';
    `)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop view server_messages;
      drop table operation_messages, operations, server_places;
      alter table accounts drop conflict_policy, drop offline_until;
      alter table mailboxes drop server_path, drop server_subscribed, drop hidden, drop held_deletion,
        drop deletion_confirmed;
      ${PAST_TABLES}
      delete from messages where uid is null;
      alter table messages alter uid set not null, alter uid_validity set not null;
    `)
  }
}
