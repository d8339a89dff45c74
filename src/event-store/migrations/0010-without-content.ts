import type { MigrationInterface, QueryRunner } from 'typeorm'

/** What is still to be copied is found without reading what is here already. */
export class WithoutContent1764900000000 implements MigrationInterface {
  name = 'WithoutContent1764900000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- what of a mailbox is selected and not here; where it is many, one key for all takes little
      create index messages_without_content on messages (mailbox_id) where content_sha256 is null
    `)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop index messages_without_content')
  }
}
