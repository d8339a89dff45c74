import { Injectable } from '@nestjs/common'
import { CommandHandler, EventBus, type ICommandHandler } from '@nestjs/cqrs'
import { v7 as newId } from 'uuid'
import { isRefusal } from '../../mailbox/failures.js'
import { AskServer, QuestionWaits } from '../../mailbox/online-commands.js'
import type { FoundIn, ServerAnswer, ServerQuestion } from '../../mailbox/server-search.js'
import { uidCount } from '../../mailbox/uid-set.js'
import { ShardDirectory } from '../../event-store/shards.js'
import { PeerFailed } from '../../platform/peers.js'
import { Platform } from '../../platform/platform.js'
import type { ImapConnection } from '../../protocols/imap/imap-connection.js'
import { searchMailbox } from '../../protocols/imap/reading.js'

/** Where a process that has an account's connection answers what others ask. */
const ASK_PATH = 'peers/questions'
/** Milliseconds after which a job is asked for again: the one before may have been lost. */
const AGAIN = 3_000

type Waiting = { question: ServerQuestion; settle: (answer: ServerAnswer) => void }

/**
 * Questions of clients that wait for a server's answer: a job asks each when its account's connection is free, in the process that has it. They are in
 * memory alone: whoever asks waits for them, and asks again if it has to.
 */
@Injectable()
export class ServerQuestions {
  private readonly waiting = new Map<string, Waiting>()

  constructor(
    private readonly bus: EventBus,
    private readonly platform: Platform,
    private readonly directory: ShardDirectory,
  ) {}

  /** Asks, and waits for the answer as long as MAILFOLD_OPERATION_TIMEOUT says. */
  async ask(accountId: string, question: ServerQuestion): Promise<ServerAnswer> {
    const elsewhere = this.directory.elsewhere(accountId)
    if (elsewhere === null) return this.askHere(accountId, question)
    try {
      const { peers } = this.platform
      return (await peers.ask(elsewhere, ASK_PATH, { accountId, question }, this.deadline())) as ServerAnswer
    } catch (error) {
      if (error instanceof PeerFailed) return { unanswered: error.message }
      throw error
    }
  }

  /** Asks a question over a connection; null where there is none. @throws ServerFailed where the connection is no more */
  async answer(questionId: string, connection: ImapConnection | null): Promise<void> {
    const waiting = this.waiting.get(questionId)
    if (!waiting) return
    this.waiting.delete(questionId)
    if (!connection) return waiting.settle({ unanswered: 'there is no connection' })
    try {
      waiting.settle({ found: await searchIn(connection, waiting.question) })
    } catch (error) {
      const { message } = error as Error
      waiting.settle(isRefusal(error) ? { refused: message } : { unanswered: message })
      // what is refused has not ended the connection
      if (!isRefusal(error)) throw error
    }
  }

  /** The same, over a connection of this process. */
  askHere(accountId: string, question: ServerQuestion): Promise<ServerAnswer> {
    const questionId = newId()
    const deadline = this.deadline()
    const wait = () => {
      this.bus.publish(new QuestionWaits(accountId, questionId))
    }
    return new Promise<ServerAnswer>((resolve) => {
      const again = setInterval(() => {
        if (this.waiting.has(questionId)) wait()
      }, AGAIN)
      const settle = (answer: ServerAnswer) => {
        clearInterval(again)
        deadline.removeEventListener('abort', late)
        this.waiting.delete(questionId)
        resolve(answer)
      }
      const late = () => settle({ unanswered: 'the server has not answered in time' })
      deadline.addEventListener('abort', late)
      this.waiting.set(questionId, { question, settle })
      wait()
    })
  }

  private deadline(): AbortSignal {
    return AbortSignal.timeout(this.platform.settings.MAILFOLD_OPERATION_TIMEOUT)
  }
}

/** Searches mailboxes, one after the other. */
async function searchIn(connection: ImapConnection, { mailboxes, search }: ServerQuestion): Promise<FoundIn[]> {
  const found: FoundIn[] = []
  for (const { mailboxId, path } of mailboxes) {
    if (connection.selected !== path) await connection.select(path)
    const uidValidity = connection.selectedUidValidity
    const uids = await searchMailbox(connection, search)
    if (uidValidity !== null && uidCount(uids) > 0) found.push({ mailboxId, uidValidity, uids })
  }
  return found
}

/** Asks for another process, whose clients wait. */
@CommandHandler(AskServer)
export class AskServerHandler implements ICommandHandler<AskServer, ServerAnswer> {
  constructor(private readonly questions: ServerQuestions) {}

  execute({ accountId, question }: AskServer): Promise<ServerAnswer> {
    return this.questions.askHere(accountId, question)
  }
}
