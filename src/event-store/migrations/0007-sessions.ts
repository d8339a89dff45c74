import type { MigrationInterface, QueryRunner } from 'typeorm'
import { PAST_TABLES } from './past-tables.js'

/** Sessions of ONLINE accounts, which are not in the log, and until when what is known of an account was current. */
export class Sessions1764600000000 implements MigrationInterface {
  name = 'Sessions1764600000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table sessions (
        session_id uuid primary key,
        account_id uuid not null,
        opened_at timestamptz not null,
        idle_seconds integer not null,
        expires_at timestamptz not null
      );
      create index sessions_of_account on sessions (account_id, expires_at);
      alter table accounts add current_as_of timestamptz;
      ${PAST_TABLES}
    `)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop table sessions;
      alter table accounts drop current_as_of;
      ${PAST_TABLES}
    `)
  }
}
