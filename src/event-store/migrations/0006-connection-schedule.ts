import type { MigrationInterface, QueryRunner } from 'typeorm'
import { PAST_TABLES } from './past-tables.js'

/** When an account has a connection. */
export class ConnectionSchedule1764500000000 implements MigrationInterface {
  name = 'ConnectionSchedule1764500000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table accounts add connection_schedule jsonb;
      ${PAST_TABLES}
    `)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table accounts drop connection_schedule;
      ${PAST_TABLES}
    `)
  }
}
