import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Streams and events; the core projections; credentials, which are no events. Each index names the query that needs it. */
export class FirstMailbox1764000000000 implements MigrationInterface {
  name = 'FirstMailbox1764000000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table streams (
        account_id uuid primary key,
        version bigint not null default 0,
        fence bigint not null default 0
      );
      create table events (
        account_id uuid not null references streams,
        version bigint not null,
        type text not null,
        shape smallint not null,
        recorded_at timestamptz not null,
        data json not null,
        primary key (account_id, version)
      );

      create table credentials (
        account_id uuid primary key references streams,
        wrapped_key bytea not null,
        sealed bytea not null,
        changed_at timestamptz not null default now()
      );

      create table accounts (
        account_id uuid primary key,
        protocol text not null,
        host text not null,
        port int not null,
        security text not null,
        username text not null,
        model text not null,
        connected_at timestamptz not null,
        connection_state text not null,
        connection_since timestamptz not null,
        connection_detail text,
        throttled_until timestamptz,
        server text,
        capabilities text[] not null default '{}'
      );
      -- a mailbox is connected once
      create unique index accounts_by_login on accounts (protocol, host, port, username);

      create table mailboxes (
        mailbox_id uuid primary key,
        account_id uuid not null,
        path text not null,
        delimiter text,
        attributes text[] not null,
        special_use text,
        subscribed boolean not null,
        selectable boolean not null,
        object_id text,
        uid_validity bigint,
        uid_next bigint not null default 1,
        highest_modseq numeric(20),
        server_messages bigint,
        complete boolean not null default false,
        reset_after timestamptz,
        messages bigint not null default 0,
        unseen bigint not null default 0
      );
      -- an account's mailboxes by path
      create index mailboxes_by_path on mailboxes (account_id, path);

      create table messages (
        message_id uuid primary key,
        account_id uuid not null,
        mailbox_id uuid not null,
        uid_validity bigint not null,
        uid bigint not null,
        modseq numeric(20),
        flags text[] not null,
        seen boolean not null,
        flagged boolean not null,
        internal_date timestamptz not null,
        size bigint not null,
        subject text not null,
        sent_at text,
        header_message_id text,
        in_reply_to text,
        message_references text[] not null,
        from_addresses json not null,
        other_addresses json not null,
        structure json,
        has_attachment boolean not null,
        email_id text,
        thread_id text,
        fingerprint bytea not null,
        origin text not null,
        defects text[] not null,
        content_sha256 bytea,
        content_size bigint,
        version bigint not null
      );
      -- what is known of a mailbox: a sync's comparison of UIDs; no message twice
      create unique index messages_by_uid on messages (mailbox_id, uid_validity, uid);
      -- a mailbox's list, newest first
      create index messages_of_mailbox on messages (mailbox_id, internal_date, message_id);
      -- an account's list, newest first
      create index messages_of_account on messages (account_id, internal_date, message_id);
      -- the unread and the flagged ones of a mailbox, of which there are often few among many
      create index messages_unseen on messages (mailbox_id, internal_date, message_id) where not seen;
      create index messages_flagged on messages (mailbox_id, internal_date, message_id) where flagged;
      -- whether a new message is a copy, an upload or a move of a known one
      create index messages_by_fingerprint on messages (account_id, fingerprint);
      create index messages_by_email_id on messages (account_id, email_id) where email_id is not null;

      create table expunged_messages (
        message_id uuid primary key,
        account_id uuid not null,
        mailbox_id uuid not null,
        uid bigint not null,
        flags text[] not null,
        internal_date timestamptz not null,
        fingerprint bytea not null,
        email_id text
      );
      -- whether a new message is one that was expunged elsewhere, hence moved
      create index expunged_by_fingerprint on expunged_messages (account_id, fingerprint);
      create index expunged_by_email_id on expunged_messages (account_id, email_id) where email_id is not null;
    `)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table expunged_messages, messages, mailboxes, accounts, credentials, events, streams')
  }
}
