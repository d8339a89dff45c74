import type { AccessModel } from '../mailbox/access-model.js'
import type { ContentPiece } from '../mailbox/content-piece.js'
import type { BlobStore } from '../content/blobs/blob-store.js'
import type { Intake } from '../content/intake.js'
import type { PassingContent } from '../content/passing-content.js'
import type { DialPolicy } from '../protocols/dial.js'
import type { AttemptTools } from './attempts.js'
import type { FenceTools } from './fence.js'
import type { ServerQuestions } from './online/server-questions.js'
import type { FairLimit } from './fair-limit.js'
import type { HostLimits } from './host-limits.js'

/** What every account's work needs of the installation; milliseconds and bytes. */
export type HomeTools = AttemptTools &
  FenceTools & {
    blobs: BlobStore
    intake: Intake
    passing: PassingContent
    questions: ServerQuestions
    policy: DialPolicy
    /** whether the account is still this process's to work on */
    isHeld: (accountId: string) => boolean
    /** opens an account's password; it is held no longer than a login takes */
    passwordOf: (accountId: string) => Promise<string>
    checkInterval: number
    /** milliseconds after which an ONLINE account without a session is looked at; 0 for never */
    onlineInterval: number
    maxMessageBytes: number
    hostLimits: HostLimits
    /** bounds connections that are being made, by host */
    connecting: FairLimit
    /** bounds accounts that are brought up to date, by host */
    working: FairLimit
  }

/** Gives the place of a job back before the job is done: it waits for something that costs this process nothing. */
export type LetGo = () => void

/**
 * Where one account's jobs are done, one at a time. What matters is in the log; a home that is lost is built again. Each job is given a way to let go of its
 * place: a host that hangs while connections to it are made must not hold up the accounts of others.
 */
export interface AccountHome {
  /** the connection that it holds now: for which model, and when its mailboxes were looked at, in milliseconds since 1970; null for none */
  readonly held: { model: AccessModel; checkedAt: number } | null
  /** One job's worth of what the access model wants done. */
  sync(letGo: LetGo): Promise<void>
  /** Tells the server at once what a client waits for. */
  operate(letGo: LetGo): Promise<void>
  /** Has a message's content, or a piece of it, fetched; the outcome is an event, or passes through memory. */
  fetch(messageId: string, piece: ContentPiece | null, letGo: LetGo): Promise<void>
  /** Has the contents of several messages fetched together, of a DISCONNECTED account; each is told by an event, and one for all that one of them could not be had. */
  fetchTogether(messageIds: readonly string[], letGo: LetGo): Promise<void>
  /** Has a server asked what a client waits to know. */
  answer(questionId: string, letGo: LetGo): Promise<void>
  /** Somebody asks for work to be done now: a pause that is only Mailfold's own is over. */
  hurry(): void
  /** Puts the work down and closes the connection. */
  stop(): Promise<void>
}
