import type { MigrationInterface, QueryRunner } from 'typeorm'

/** When all of an account's mail was last found to be here. */
export class CompleteAt1765400000000 implements MigrationInterface {
  name = 'CompleteAt1765400000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table schedule add complete_at timestamptz')
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table schedule drop complete_at')
  }
}
