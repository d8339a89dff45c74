import type { MigrationInterface } from 'typeorm'
import { FirstMailbox1764000000000 } from './0001-first-mailbox.js'
import { History1764100000000 } from './0002-history.js'
import { Offline1764200000000 } from './0003-offline.js'
import { Operations1764300000000 } from './0004-operations.js'
import { Selection1764400000000 } from './0005-selection.js'
import { ConnectionSchedule1764500000000 } from './0006-connection-schedule.js'
import { Sessions1764600000000 } from './0007-sessions.js'
import { Lists1764700000000 } from './0008-lists.js'
import { Shards1764800000000 } from './0009-shards.js'
import { Problems1765000000000 } from './0011-problems.js'
import { Failures1765200000000 } from './0012-failures.js'
import { MasterKey1765300000000 } from './0013-master-key.js'
import { CompleteAt1765400000000 } from './0014-complete-at.js'
import { CertificateFingerprint1765500000000 } from './0015-certificate-fingerprint.js'
import { Namespaces1765600000000 } from './0016-namespaces.js'
import { WithoutContent1764900000000 } from './0010-without-content.js'

/** Every migration, oldest first; run at start. */
export const MIGRATIONS: (new () => MigrationInterface)[] = [
  FirstMailbox1764000000000,
  History1764100000000,
  Offline1764200000000,
  Operations1764300000000,
  Selection1764400000000,
  ConnectionSchedule1764500000000,
  Sessions1764600000000,
  Lists1764700000000,
  Shards1764800000000,
  WithoutContent1764900000000,
  Problems1765000000000,
  Failures1765200000000,
  MasterKey1765300000000,
  CompleteAt1765400000000,
  CertificateFingerprint1765500000000,
  Namespaces1765600000000,
]
