import type { MigrationInterface, QueryRunner } from 'typeorm'
import { PAST_TABLES, WIDER_PAST_ACCOUNTS } from './past-tables.js'

/** What keeps an account from being worked on, beside the reason in words. */
export class Failures1765200000000 implements MigrationInterface {
  name = 'Failures1765200000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table accounts add connection_failure jsonb;
      ${WIDER_PAST_ACCOUNTS}
    `)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table accounts drop connection_failure;
      ${PAST_TABLES}
    `)
  }
}
