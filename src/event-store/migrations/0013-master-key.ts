import type { MigrationInterface, QueryRunner } from 'typeorm'

/** By which master key the credentials are sealed: a value that only that key opens. */
export class MasterKey1765300000000 implements MigrationInterface {
  name = 'MasterKey1765300000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table master_key (
        single boolean primary key default true check (single),
        sealed bytea not null,
        -- by the key before, while credentials are being sealed anew
        sealed_before bytea
      )
    `)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table master_key')
  }
}
