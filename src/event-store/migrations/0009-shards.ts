import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Which worker processes there are, which shards of the accounts each of them holds, and by which fence token a worker appended. */
export class Shards1764800000000 implements MigrationInterface {
  name = 'Shards1764800000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table workers (
        worker_id uuid primary key,
        address text not null,
        expires_at timestamptz not null
      );
      create table shards (
        shard integer primary key,
        worker_id uuid,
        token bigint not null default 0,
        expires_at timestamptz
      );
      -- a token that was worth something once never is again, whatever shards come and go
      create sequence shard_tokens;
      alter table appends add fence bigint;
    `)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      'drop table shards; drop table workers; drop sequence shard_tokens; alter table appends drop fence',
    )
  }
}
