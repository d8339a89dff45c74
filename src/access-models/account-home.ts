import type { BlobStore } from '../content/blob-store.js'
import type { Intake } from '../content/intake.js'
import type { PassingContent } from '../content/passing-content.js'
import type { DialPolicy } from '../protocols/dial.js'
import type { AttemptTools } from './attempts.js'
import type { HostLimits } from './offline/host-limits.js'

/** What every account's work needs of the installation; milliseconds and bytes. */
export type HomeTools = AttemptTools & {
  blobs: BlobStore
  intake: Intake
  passing: PassingContent
  policy: DialPolicy
  /** opens an account's password; it is held no longer than a login takes */
  passwordOf: (accountId: string) => Promise<string>
  checkInterval: number
  maxMessageBytes: number
  hostLimits: HostLimits
}

/** Where one account's jobs are done, one at a time. What matters is in the log; a home that is lost is built again. */
export interface AccountHome {
  /** One job's worth of what the access model wants done. */
  sync(): Promise<void>
  /** Has a message's content fetched; the outcome is an event, or passes through memory. */
  fetch(messageId: string): Promise<void>
  /** Somebody asks for work to be done now: a pause that is only Mailfold's own is over. */
  hurry(): void
  /** Puts the work down and closes the connection. */
  stop(): Promise<void>
}
