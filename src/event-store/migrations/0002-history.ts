import type { MigrationInterface, QueryRunner } from 'typeorm'

/**
 * What the past is read from, what the whole store is followed by, and where consumers of it stand. Rows of the past are
 * projections like the others; accounts of before this migration get theirs when the projections are folded again at
 * the start (`streams.projection`).
 */
export class History1764100000000 implements MigrationInterface {
  name = 'History1764100000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- one row: what is added to a transaction's id to get a position that never goes back, wherever the store is moved
      create table store (position_offset bigint not null);
      insert into store values (0);

      alter table streams
        add recorded_at timestamptz not null default '-infinity',
        add position bigint not null default 0,
        add projection smallint not null default 1,
        add closed boolean not null default false;
      update streams set recorded_at = coalesce(
        (select recorded_at from events where events.account_id = streams.account_id order by version desc limit 1),
        recorded_at);

      -- a stream's head row is held by every append, so that no event can be without its stream
      alter table events drop constraint events_account_id_fkey;
      alter table events add cause text not null default 'SERVER';

      -- each append once, in the order in which the whole store is followed
      create table appends (
        position bigint not null,
        account_id uuid not null,
        first_version bigint not null,
        last_version bigint not null,
        recorded_at timestamptz not null,
        primary key (position, account_id, last_version)
      );
      -- the version of a stream at a time
      create index appends_by_time on appends (account_id, recorded_at, last_version);
      insert into appends
        select 0, account_id, version, version, max(recorded_at) over (partition by account_id order by version)
        from events;

      create table consumers (
        name text primary key,
        position bigint not null,
        account_id uuid not null,
        version bigint not null,
        changed_at timestamptz not null default now()
      );

      alter table accounts add version bigint not null default 0;
      alter table mailboxes
        add version bigint not null default 0,
        add found_later boolean not null default false;

      alter table messages
        add added_version bigint not null default 0,
        add forgotten boolean not null default false;
      -- whether anything refers to a blob
      create index messages_by_content on messages (content_sha256) where content_sha256 is not null;
      -- the newest messages of a mailbox, or of an account, at a version: see past-messages.ts
      create index messages_by_zone
        on messages (mailbox_id, (added_version >> 13), internal_date, message_id, added_version);
      create index messages_of_account_by_zone
        on messages (account_id, (added_version >> 13), internal_date, message_id, added_version);

      create table past_accounts (like accounts, at_version bigint not null, primary key (account_id, at_version));

      create table past_mailboxes (
        like mailboxes, at_version bigint not null, removed boolean not null,
        primary key (account_id, mailbox_id, at_version)
      );
      -- mailboxes that are no longer there
      create index past_mailboxes_removed on past_mailboxes (account_id) where removed;
      -- whose a mailbox was
      create index past_mailboxes_by_id on past_mailboxes (mailbox_id);

      create table past_messages (
        like messages, until_version bigint not null, life smallint not null, zone bigint not null,
        primary key (account_id, message_id, until_version)
      );
      -- whose a message was
      create index past_messages_by_id on past_messages (message_id);
      -- the newest messages at a version, by how long they stayed
      create index past_messages_by_zone
        on past_messages (mailbox_id, life, zone, internal_date, message_id, added_version, until_version);
      create index past_messages_of_account_by_zone
        on past_messages (account_id, life, zone, internal_date, message_id, added_version, until_version);

      create table past_message_states (
        account_id uuid not null,
        message_id uuid not null,
        uid_validity bigint not null,
        uid bigint not null,
        modseq numeric(20),
        flags text[] not null,
        seen boolean not null,
        flagged boolean not null,
        content_sha256 bytea,
        content_size bigint,
        forgotten boolean not null,
        version bigint not null,
        until_version bigint not null,
        primary key (account_id, message_id, until_version)
      );
      create index past_messages_by_content on past_messages (content_sha256) where content_sha256 is not null;
      create index past_message_states_by_content
        on past_message_states (content_sha256) where content_sha256 is not null;

      -- what is forgotten as soon as it is told of again
      create table forgotten_messages (
        account_id uuid not null,
        fingerprint bytea not null,
        primary key (account_id, fingerprint)
      );
      -- blobs of which it is still to be found out whether anything refers to them, and that go if nothing does
      create table blob_removals (sha256 bytea primary key);
    `)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop table blob_removals, forgotten_messages, past_message_states, past_messages, past_mailboxes, past_accounts, consumers, appends, store;
      drop index messages_by_content, messages_by_zone, messages_of_account_by_zone;
      alter table messages drop added_version, drop forgotten;
      alter table mailboxes drop version, drop found_later;
      alter table accounts drop version;
      alter table events drop cause;
      alter table events add foreign key (account_id) references streams;
      alter table streams drop recorded_at, drop position, drop projection, drop closed;
    `)
  }
}
