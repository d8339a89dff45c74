import { planUpload, type UploadPlan, type UploadView } from '../mailbox/upload-plan.js'
import type { Queryable } from '../platform/database.js'
import { together } from '../platform/together.js'
import { viewTracked, viewTrackedApart, viewTrackedMailboxes } from './operation-views.js'

/** Which part of what waits is looked at, and what the server can do. */
export type UploadScope = {
  accountId: string
  /** mailboxes that may be gone from the server, of which nothing is told before that is certain */
  missing: ReadonlySet<string>
  /** whether the server can expunge single messages (UIDPLUS, RFC 4315) */
  canExpunge: boolean
  /** only messages behind this id; null for the first */
  after: string | null
  /** most messages */
  limit: number
}

/** A plan, and what it is made of. */
export type PlannedUpload = { plan: UploadPlan; view: UploadView }

/** What a server is to be told next, and what that follows from. */
export async function viewUpload(session: Queryable, scope: UploadScope): Promise<PlannedUpload> {
  const { accountId, missing, canExpunge, after, limit } = scope
  const [all, messages] = await together([
    viewTrackedMailboxes(session, accountId),
    viewTrackedApart(session, accountId, after, limit),
  ])
  const mailboxes = all.map((mailbox) =>
    missing.has(mailbox.mailboxId) ? { ...mailbox, serverPath: null, operations: [] } : mailbox,
  )
  const copied = messages.flatMap(({ operations }) => operations.flatMap(({ effect }) => effect.copyOf ?? []))
  const originals = new Map(
    (await viewTracked(session, copied)).flatMap(({ messageId, server }) =>
      server.state === 'THERE' ? [[messageId, server] as const] : [],
    ),
  )
  const view = { mailboxes, messages, originals, canExpunge }
  return { plan: planUpload(view), view }
}
