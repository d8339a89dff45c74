import type { MigrationInterface, QueryRunner } from 'typeorm'
import { PAST_TABLES, WIDER_PAST_ACCOUNTS } from './past-tables.js'

/** The namespaces of an account's server. */
export class Namespaces1765600000000 implements MigrationInterface {
  name = 'Namespaces1765600000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table accounts add namespaces jsonb;
      ${WIDER_PAST_ACCOUNTS}
    `)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table accounts drop namespaces;
      ${PAST_TABLES}
    `)
  }
}
