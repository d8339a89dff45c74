import type { MigrationInterface, QueryRunner } from 'typeorm'
import { PAST_TABLES, WIDER_PAST_ACCOUNTS } from './past-tables.js'

/** The one certificate that an account trusts at its server. */
export class CertificateFingerprint1765500000000 implements MigrationInterface {
  name = 'CertificateFingerprint1765500000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table accounts add certificate_fingerprint text;
      ${WIDER_PAST_ACCOUNTS}
    `)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table accounts drop certificate_fingerprint;
      ${PAST_TABLES}
    `)
  }
}
