import type { MigrationInterface, QueryRunner } from 'typeorm'
import { PAST_TABLES, WIDER_PAST_MAILBOXES } from './past-tables.js'

/** What keeps a mailbox from being complete, and which messages are to be read again. */
export class Problems1765000000000 implements MigrationInterface {
  name = 'Problems1765000000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table mailboxes add problem jsonb;
      ${WIDER_PAST_MAILBOXES}
      -- messages that could not be read are tried again; there are few, or none
      create index messages_unreadable on messages (account_id) where defects && '{UNREADABLE,FLAGS_UNREADABLE}';
    `)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop index messages_unreadable;
      alter table mailboxes drop problem;
      ${PAST_TABLES}
    `)
  }
}
