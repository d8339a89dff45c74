import type { ListedMessage } from '../../mailbox/collection.js'
import { isRefusal, ServerFailed } from '../../mailbox/failures.js'
import { localPathOf } from '../../mailbox/local-mailboxes.js'
import { pathOnServer } from '../../mailbox/namespaces.js'
import type { Removal } from '../../mailbox/maildrop.js'
import { uidSetOf, uidsOf } from '../../mailbox/uid-set.js'
import {
  contentsOf,
  deleteMessages,
  deletionOffered,
  headersOf,
  quotaOf,
  sizesOf,
} from '../../protocols/imap/collecting.js'
import type { ImapConnection } from '../../protocols/imap/imap-connection.js'
import type { Coming, LookedAt, Maildrop } from './maildrop.js'

/** Mailboxes of an IMAP server that mail is collected from: messages named by UIDVALIDITY and UID, deleted at once. */
export class ImapMaildrop implements Maildrop {
  readonly names = 'UID'
  private trash: string | null = null

  /** @param maxBytes largest message that is fetched whole */
  constructor(
    private readonly connection: ImapConnection,
    private readonly removal: Removal,
    private readonly maxBytes: number,
  ) {}

  get capabilities(): string[] {
    return this.connection.capabilities
  }

  get serverName(): string | null {
    return this.connection.serverName
  }

  get namespaces() {
    return this.connection.namespaces
  }

  async list(mailboxes: readonly string[]): Promise<LookedAt[]> {
    const reports = await this.connection.listMailboxes()
    this.trash = reports.find(({ listed }) => listed.specialUse === '\\Trash')?.listed.path ?? null
    const found: LookedAt[] = []
    for (const path of mailboxes) {
      const named = pathOnServer(path, reports[0]?.listed.delimiter ?? null, this.namespaces)
      const isNamed = (name: string) => reports.find((report) => sameMailbox(report.listed.path, name))
      const { listed } = isNamed(path) ?? isNamed(named) ?? {}
      const mailbox = listed?.path ?? path
      const localPath = localPathOf(mailbox, listed?.delimiter ?? reports[0]?.listed.delimiter ?? null)
      const looked = { mailbox, localPath, listed: [], unlisted: 0, refused: null }
      if (!listed?.selectable)
        found.push({ ...looked, refused: 'The server lists no mailbox of this name with mail in it.' })
      else found.push(await this.look(looked))
    }
    return found
  }

  /** Lists one mailbox. If the server refuses to open it, the refusal is told, and the other mailboxes are still listed. */
  private async look(looked: LookedAt): Promise<LookedAt> {
    const { mailbox } = looked
    try {
      const { uidValidity } = await this.connection.select(mailbox, true)
      const uids = uidsOf(await this.connection.allUids())
      const place = { mailbox, uidValidity, uidl: null, size: 0 }
      const listed = uids.map((uid) => ({ ...place, uid, number: uid }))
      return { ...looked, listed, unlisted: this.connection.unlisted }
    } catch (error) {
      if (!isRefusal(error)) throw error
      return { ...looked, refused: error.failure.serverSaid }
    }
  }

  async occupancy() {
    return quotaOf(this.connection)
  }

  async withSizes(listed: readonly ListedMessage[]): Promise<ListedMessage[]> {
    const sized: ListedMessage[] = []
    await this.inEach(listed, async (group) => {
      const sizes = await sizesOf(this.connection, uidsIn(group))
      // one without may have gone meanwhile, or the server does not say it: its content tells
      for (const message of group) sized.push({ ...message, size: sizes.get(message.number) ?? 0 })
    })
    return sized
  }

  async *headers(listed: readonly ListedMessage[]) {
    for (const [group, byUid] of groupsOf(listed)) {
      await this.open(group)
      for await (const { uid, header } of headersOf(this.connection, uidsIn(group))) {
        const message = byUid.get(uid)
        if (message) yield { listed: message, header }
      }
    }
  }

  async *contents(listed: readonly ListedMessage[], together: number): AsyncGenerator<Coming> {
    for (const [group, byUid] of groupsOf(listed)) {
      await this.open(group)
      const wanted = group.map(({ number, size }) => ({ uid: number, size }))
      for await (const { uid, ...told } of contentsOf(this.connection, wanted, this.maxBytes, together)) {
        const message = byUid.get(uid)
        // a server may tell of a message unasked, or twice
        if (message && byUid.delete(uid)) yield { listed: message, ...told }
      }
      // what went meanwhile has not to come
      const left = byUid.size > 0 ? uidsOf(await this.connection.present(uidSetOf(byUid.keys()))) : []
      for (const uid of left) {
        const message = byUid.get(uid)
        if (message)
          yield { listed: message, refused: 'The server lists it, and gives nothing that can be read as it.' }
      }
    }
  }

  async delete(listed: readonly ListedMessage[]): Promise<ListedMessage[]> {
    const gone: ListedMessage[] = []
    const deletion = deletionOffered((capability) => this.connection.offers(capability), this.removal)
    const trash = deletion === 'MOVE' ? this.trash : null
    // without one of these the server would be made to delete what others have marked, or could not move
    if (deletion === null || (deletion === 'MOVE' && trash === null)) return gone
    await this.inEach(
      listed,
      async (group, byUid) => {
        if (trash !== null && sameMailbox(trash, group[0]?.mailbox ?? '')) return
        for (const uid of await deleteMessages(this.connection, uidsIn(group), trash))
          gone.push(byUid.get(uid) as ListedMessage)
      },
      false,
    )
    return gone
  }

  async reset(): Promise<void> {
    // nothing here is uncertain
  }

  async end(): Promise<ListedMessage[]> {
    await this.connection.close()
    return []
  }

  drop(): void {
    this.connection.drop()
  }

  private async inEach(
    listed: readonly ListedMessage[],
    work: (group: ListedMessage[], byUid: Map<number, ListedMessage>) => Promise<void>,
    readOnly = true,
  ): Promise<void> {
    for (const [group, byUid] of groupsOf(listed)) {
      await this.open(group, readOnly)
      await work(group, byUid)
    }
  }

  /** Selects the mailbox of a group; one that was numbered anew since it was listed is another mailbox. */
  private async open([first]: readonly ListedMessage[], readOnly = true): Promise<void> {
    if (!first) return
    const { uidValidity } = await this.connection.select(first.mailbox, readOnly)
    if (uidValidity === first.uidValidity) return
    const { host } = this.connection.server
    throw new ServerFailed({ kind: 'ConnectionLost', host, reason: 'a mailbox was numbered anew meanwhile' })
  }
}

const sameMailbox = (one: string, other: string) =>
  one === other || (one.toUpperCase() === 'INBOX' && other.toUpperCase() === 'INBOX')

const uidsIn = (group: readonly ListedMessage[]) => group.map(({ number }) => number)

function groupsOf(listed: readonly ListedMessage[]): [ListedMessage[], Map<number, ListedMessage>][] {
  const groups = Map.groupBy(listed, (message) => message.mailbox)
  return [...groups.values()].map((group) => [group, new Map(group.map((message) => [message.number, message]))])
}
