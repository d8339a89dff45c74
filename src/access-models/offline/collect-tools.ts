import type { BlobStore } from '../../content/blobs/blob-store.js'
import type { Intake } from '../../content/intake.js'
import type { FenceToken, Streams } from '../../event-store/streams.js'
import type { Database } from '../../platform/database.js'
import type { Logger } from '../../platform/logs.js'
import type { AccountView } from '../../projections/account-views.js'
import type { ConnectionEnders } from '../connection-enders.js'

/** What a run works with; bytes. */
export type CollectTools = {
  account: AccountView
  streams: Streams
  database: Database
  blobs: BlobStore
  intake: Intake
  fence: FenceToken
  maxMessageBytes: number
  logger: Logger
  /** called when new messages are here, or more of known ones */
  progressed: () => Promise<void>
  /** whether the work is to be put down: what was taken in by then is kept */
  stopping: () => boolean
  /** what the last run has listed, if it left nothing to be done, as a hash; for as long as this process works for the account */
  lastListing: string | null
  /** messages, by their names, that were longer than their stated sizes and than may be kept; of them, only the headers are asked for, for a while */
  tooLong: Set<string>
  /** messages over which the server ends the connection */
  enders: ConnectionEnders
}
