import type { MigrationInterface, QueryRunner } from 'typeorm'

/** By which mailing lists messages came. */
export class Lists1764700000000 implements MigrationInterface {
  name = 'Lists1764700000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table list_messages (
        message_id uuid primary key,
        account_id uuid not null,
        list_id text not null
      );
      create index list_messages_of_account on list_messages (account_id);
    `)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table list_messages')
  }
}
