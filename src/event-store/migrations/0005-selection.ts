import type { MigrationInterface, QueryRunner } from 'typeorm'
import { PAST_TABLES } from './past-tables.js'

/** Of which messages the raw messages are to be here. Projections all. */
export class Selection1764400000000 implements MigrationInterface {
  name = 'Selection1764400000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table accounts add selection jsonb;
      alter table mailboxes add selection jsonb;
      ${PAST_TABLES}

      -- messages that a client wants here whatever the selection says
      create table kept_messages (
        message_id uuid primary key,
        account_id uuid not null
      );
      create index kept_messages_of_account on kept_messages (account_id);
    `)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop table kept_messages;
      alter table accounts drop selection;
      alter table mailboxes drop selection;
      ${PAST_TABLES}
    `)
  }
}
