import type { ImapFlow, ListResponse, MailboxObject, StatusQuery } from 'imapflow'
import { ServerFailed } from '../../mailbox/failures.js'
import { OTHER_USERS, SHARED, type ListedMailbox } from '../../mailbox/mailbox-list.js'
import { clean } from '../../mailbox/message-bounds.js'
import type { ReportedPlace } from '../../mailbox/sync-plan.js'

/** A mailbox as the server lists it, with where it stands. */
export type MailboxReport = { listed: ListedMailbox; place: ReportedPlace | null }

/** Attributes of one mailbox that are kept, and characters of each. */
const MOST_ATTRIBUTES = 50
const LONGEST_NAME = 1_000

/** Where a mailbox that was selected stands. @throws ServerFailed when the server does not say its UIDVALIDITY, without which no UID means anything (RFC 9051 §2.3.1.1) */
export function placeOf(mailbox: MailboxObject, host: string): ReportedPlace {
  // it may be missing, whatever imapflow's types say
  const { uidValidity } = mailbox as { uidValidity?: bigint }
  if (!uidValidity) {
    const serverSaid = 'it gives the mailbox no UIDVALIDITY'
    throw new ServerFailed({ kind: 'CommandRefused', host, command: 'SELECT', serverSaid, code: null })
  }
  return {
    uidValidity: uidValidity.toString(),
    uidNext: mailbox.uidNext || null,
    highestModseq: mailbox.highestModseq?.toString() ?? null,
    messages: mailbox.exists ?? 0,
  }
}

/** Brings an entry of a list of mailboxes into Mailfold's form. */
export function reportOf(entry: ListResponse): MailboxReport {
  const { status } = entry
  const place = status?.uidValidity
    ? {
        uidValidity: status.uidValidity.toString(),
        uidNext: status.uidNext ?? null,
        highestModseq: status.highestModseq?.toString() ?? null,
        messages: status.messages ?? null,
      }
    : null
  const attributes = [...entry.flags]
    .filter((flag) => !/^\\(Has(No)?Children|Subscribed|Marked|Unmarked)$/i.test(flag))
    .map((flag) => clean(flag.slice(0, LONGEST_NAME)))
    .sort()
    .slice(0, MOST_ATTRIBUTES)
  const listed = {
    path: entry.path,
    delimiter: entry.delimiter ? clean(entry.delimiter.slice(0, 8)) : null,
    attributes,
    specialUse: entry.specialUse ?? null,
    subscribed: entry.subscribed === true,
    selectable: !attributes.some((flag) => /^\\(NoSelect|NonExistent)$/i.test(flag)),
    objectId: cleaned((status as { mailboxId?: string } | undefined)?.mailboxId),
    uidValidity: place?.uidValidity ?? null,
    messages: place?.messages ?? null,
  }
  return { listed, place }
}

function cleaned(text: string | undefined): string | null {
  return text === undefined ? null : clean(text.slice(0, LONGEST_NAME))
}

/**
 * The mailboxes of a list, each path once. A name with bytes that can stand in no text (NUL, what is no UTF-8) is shown with U+FFFD in their place; the
 * server could not be asked for it by that name, so it counts as one that holds no messages, and its attributes say why.
 */
export function reportsOf(entries: readonly ListResponse[]): MailboxReport[] {
  const reports = new Map<string, MailboxReport>()
  for (const entry of entries) {
    const report = reportOf(entry)
    const path = clean(entry.path.slice(0, LONGEST_NAME))
    if (path === '') continue
    const isUsable = path === entry.path && !path.includes('\uFFFD')
    if (isUsable || !reports.has(path)) reports.set(path, isUsable ? report : unusable(report, path))
  }
  return [...reports.values()]
}

function unusable({ listed }: MailboxReport, path: string): MailboxReport {
  const attributes = [...listed.attributes, UNUSABLE].sort()
  return { listed: { ...listed, path, attributes, selectable: false }, place: null }
}

/** The attribute, of Mailfold's own, of a mailbox whose name cannot be used. */
const UNUSABLE = '\\X-Mailfold-UnusableName'

/** A namespace that is not the user's own (RFC 2342): what its mailboxes' paths begin with, and whose it is. */
type ForeignNamespace = { prefix: string; attribute: string }

type Announced = readonly { prefix: string }[] | false | undefined

/** What imapflow knows of namespaces, and its LIST of a pattern, which are not among its public types. */
type ListingClient = {
  namespaces?: { [Kind in 'personal' | 'other' | 'shared']?: Announced }
  run(command: 'LIST', reference: string, pattern: string, options: object): Promise<ListResponse[]>
}

/**
 * Lists all mailboxes, those in the namespaces of others as well, which say so among their attributes.
 *
 * @param ask makes a request
 */
export async function listIn(
  client: ImapFlow,
  ask: (list: () => Promise<ListResponse[]>) => Promise<ListResponse[]>,
  statusQuery: StatusQuery,
): Promise<MailboxReport[]> {
  const listed = [...(await ask(() => client.list({ statusQuery })))]
  const lister = client as unknown as ListingClient
  const { personal, other, shared } = lister.namespaces ?? {}
  const spaces = foreignNamespaces(other, shared)
  // imapflow puts the prefix of the user's own before every path, so that others could not be asked for
  const isPlain = (personal || []).every(({ prefix }) => prefix === '')
  for (const { prefix } of isPlain ? spaces : [])
    if (!listed.some(({ path }) => path.startsWith(prefix)))
      listed.push(...(await ask(() => lister.run('LIST', '', `${prefix}*`, { statusQuery }))))
  return reportsOf(listed).map((report) => inNamespace(report, spaces))
}

/** The namespaces that a server tells of beside the user's own; one without a prefix cannot be told from that. */
function foreignNamespaces(other: Announced, shared: Announced): ForeignNamespace[] {
  const named = (spaces: Announced, attribute: string) =>
    (spaces || []).flatMap(({ prefix }) => (prefix === '' ? [] : [{ prefix, attribute }]))
  return [...named(other, OTHER_USERS), ...named(shared, SHARED)]
}

function inNamespace(report: MailboxReport, spaces: readonly ForeignNamespace[]): MailboxReport {
  const { path, delimiter, attributes } = report.listed
  const space = spaces.find(({ prefix }) => path.startsWith(prefix) || path + (delimiter ?? '') === prefix)
  if (!space) return report
  return { ...report, listed: { ...report.listed, attributes: [...attributes, space.attribute].sort() } }
}
