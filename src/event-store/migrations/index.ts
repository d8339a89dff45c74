import type { MigrationInterface } from 'typeorm'
import { FirstMailbox1764000000000 } from './0001-first-mailbox.js'

/** Every migration, oldest first; run at start. */
export const MIGRATIONS: (new () => MigrationInterface)[] = [FirstMailbox1764000000000]
