import { ServerFailed } from '../../mailbox/failures.js'
import type { ImapConnection } from '../../protocols/imap/imap-connection.js'

/** Milliseconds without use after which it is ended. */
const IDLE = 30_000

/**
 * A second connection of an ONLINE account, for what may take long: a large body, or a search. So it holds up no flag that is changed
 * meanwhile. It is made when it is needed, and ended when it is not used for a while.
 */
export class SideConnection {
  private connection: ImapConnection | null = null
  private turn: Promise<unknown> = Promise.resolve()
  private idle: NodeJS.Timeout | null = null
  private closed = false

  /**
   * Has something done over it, one thing at a time.
   *
   * @param open makes the connection where there is none, and rejects with ServerFailed where it cannot be had
   * @returns whether it was; false where the server gives no second connection, or ends it: then the first has to do
   */
  async use(
    open: () => Promise<ImapConnection>,
    work: (connection: ImapConnection) => Promise<void>,
  ): Promise<boolean> {
    const mine = this.turn.then(() => this.work(open, work))
    this.turn = mine.catch(() => undefined)
    return mine
  }

  /** Ends it; the next use makes it again. */
  async close(): Promise<void> {
    const { connection, idle } = this
    this.connection = null
    if (idle) clearTimeout(idle)
    await connection?.close()
  }

  /** Ends it for good. */
  async stop(): Promise<void> {
    this.closed = true
    await this.close()
  }

  private async work(
    open: () => Promise<ImapConnection>,
    work: (connection: ImapConnection) => Promise<void>,
  ): Promise<boolean> {
    if (this.closed) return false
    if (this.idle) clearTimeout(this.idle)
    try {
      const connection = (this.connection ??= await this.opened(open))
      // what has come since is in its view from here on
      if (connection.selected !== null) await connection.noop()
      await work(connection)
      return true
    } catch (error) {
      this.connection?.drop()
      this.connection = null
      if (error instanceof ServerFailed) return false
      throw error
    } finally {
      if (this.connection) this.idle = setTimeout(() => void this.close(), IDLE).unref()
    }
  }

  private async opened(open: () => Promise<ImapConnection>): Promise<ImapConnection> {
    const connection = await open()
    connection.once('closed', () => {
      if (this.connection === connection) this.connection = null
    })
    return connection
  }
}
