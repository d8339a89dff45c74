import type { AccessModel } from './access-model.js'
import type { CandidateKind, CandidateSum, CandidateTerms } from './candidates.js'
import type { ChangeFailure } from './local-work.js'
import type { ModelChangePreview } from './model-change.js'
import type { SearchOrder, ServerQuestion, ServerSearch } from './server-search.js'
import type { Session } from './session.js'

/** How a command on a session ended: the session, null where it was closed, or why nothing was done. */
export type SessionOutcome = { accountId: string; session: Session | null } | { failure: ChangeFailure }

/** Open a session of an ONLINE account: its connection is made, and held while one is open. */
export class OpenSession {
  constructor(
    readonly accountId: string,
    /** seconds without use after which it ends by itself */
    readonly idleSeconds: number,
  ) {}
}

/** Say that a session is in use. */
export class KeepSession {
  constructor(readonly sessionId: string) {}
}

/** End a session; the last one takes the connection along. */
export class CloseSession {
  constructor(readonly sessionId: string) {}
}

/** An operation of an ONLINE account waits for its server, and a client for its outcome. */
export class OperationWaits {
  constructor(readonly accountId: string) {}
}

/** Delete for good a group of messages that are worth deleting, if it still is what was seen of it. */
export class DeleteCandidates {
  constructor(
    readonly accountId: string,
    readonly kind: CandidateKind,
    readonly terms: CandidateTerms,
    /** what was seen of the group: its messages and their bytes */
    readonly seen: CandidateSum,
  ) {}
}

/** How a change of the access model ended: with what it does, or why it was not made. */
export type ModelOutcome = { preview: ModelChangePreview } | { failure: ChangeFailure }

/** Say what it would do to work with an account in another way; with `isSet`, also do it. */
export class ChangeModel {
  constructor(
    readonly accountId: string,
    readonly model: AccessModel,
    readonly isSet: boolean,
    /** whether what waits, and what is nowhere but here, may be given up */
    readonly isConfirmed: boolean,
  ) {}
}

/** What a search on the server has found: messages of the index by their ids, in order, and how many there are on the server. */
export type SearchOutcome = { messageIds: string[]; total: number } | { failure: ChangeFailure }

/** Search an ONLINE account's server, in all its mailboxes or in one. */
export class SearchServer {
  constructor(
    readonly accountId: string,
    readonly mailboxId: string | null,
    readonly search: ServerSearch,
    readonly order: SearchOrder,
    /** most messages that are wanted */
    readonly limit: number,
  ) {}
}

/** Ask an ONLINE account's server, in the process that has its connection. @returns ServerAnswer */
export class AskServer {
  constructor(
    readonly accountId: string,
    readonly question: ServerQuestion,
  ) {}
}

/** A client waits for an answer of an ONLINE account's server. */
export class QuestionWaits {
  constructor(
    readonly accountId: string,
    readonly questionId: string,
  ) {}
}
