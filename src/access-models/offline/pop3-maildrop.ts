import type { ListedMessage } from '../../mailbox/collection.js'
import { headerOf } from '../../content/message-metadata.js'
import type { Pop3Connection } from '../../protocols/pop3/pop3-connection.js'
import type { Coming, LookedAt, Maildrop } from './maildrop.js'

const INBOX = 'INBOX'

/** A maildrop over POP3: one mailbox, messages named by UIDL where the server has it, deletions that QUIT makes good. */
export class Pop3Maildrop implements Maildrop {
  readonly serverName = null
  readonly namespaces = null
  private everyName = false
  private marked: ListedMessage[] = []

  constructor(private readonly connection: Pop3Connection) {}

  get capabilities(): string[] {
    return this.connection.capabilities
  }

  get names(): 'UIDL' | null {
    return this.everyName ? 'UIDL' : null
  }

  async list(): Promise<LookedAt[]> {
    const { messages: found, unlisted } = await this.connection.list()
    const names = new Set(found.map(({ uidl }) => uidl))
    this.everyName = !names.has(null) && names.size === found.length
    const listed = found.map((message) => ({ ...message, mailbox: INBOX, uidValidity: null, uid: null }))
    return [{ mailbox: INBOX, localPath: INBOX, listed, unlisted, refused: null }]
  }

  async occupancy() {
    const bytes = await this.connection.bytes()
    return bytes === null ? null : { bytes, limit: null }
  }

  async withSizes(listed: readonly ListedMessage[]): Promise<ListedMessage[]> {
    return [...listed]
  }

  async *headers(listed: readonly ListedMessage[]) {
    const byNumber = numbered(listed)
    for await (const message of this.connection.headers([...byNumber.keys()])) {
      // a server without TOP is told by contents alone
      if ('refused' in message) continue
      yield { listed: byNumber.get(message.number) as ListedMessage, header: await headerOf(message.content) }
    }
  }

  async *contents(listed: readonly ListedMessage[]): AsyncGenerator<Coming> {
    const byNumber = numbered(listed)
    for await (const { number, ...message } of this.connection.contents([...byNumber.keys()])) {
      const asked = byNumber.get(number) as ListedMessage
      if ('refused' in message) yield { listed: asked, refused: message.refused }
      else yield { listed: asked, content: message.content, flags: [], internalDate: null }
    }
  }

  async delete(listed: readonly ListedMessage[]): Promise<ListedMessage[]> {
    const byNumber = numbered(listed)
    const marked = await this.connection.delete([...byNumber.keys()])
    this.marked.push(...marked.map((number) => byNumber.get(number) as ListedMessage))
    return []
  }

  async reset(): Promise<void> {
    this.marked = []
    await this.connection.reset()
  }

  async end(): Promise<ListedMessage[]> {
    await this.connection.quit()
    return this.marked
  }

  drop(): void {
    this.connection.drop()
  }
}

function numbered(listed: readonly ListedMessage[]): Map<number, ListedMessage> {
  return new Map(listed.map((message) => [message.number, message]))
}
