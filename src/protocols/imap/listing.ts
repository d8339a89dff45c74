import type { ImapFlow, ListResponse, MailboxObject, StatusQuery } from 'imapflow'
import { ServerFailed } from '../../mailbox/failures.js'
import { OTHER_USERS, SHARED, type ListedMailbox } from '../../mailbox/mailbox-list.js'
import type { NamespacePrefix, Namespaces } from '../../mailbox/namespaces.js'
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

/** Namespaces of each kind that are kept. */
const MOST_NAMESPACES = 20

/** A namespace that is not the user's own (RFC 2342): what its mailboxes' paths begin with, and whose it is. */
type ForeignNamespace = { prefix: string; attribute: string }

type Announced = readonly { prefix?: string; delimiter?: string | null }[] | false | undefined

/** What imapflow knows of namespaces, and its LIST of a pattern, which are not among its public types. */
type ListingClient = {
  namespace?: { prefix: string; delimiter: string | null }
  namespaces?: { [Kind in 'personal' | 'other' | 'shared']?: Announced }
  run(command: 'LIST', reference: string, pattern: string, options: object): Promise<ListResponse[]>
}

/**
 * Takes over what the server said of its namespaces after the login. From then on imapflow takes paths as they are: it would put the prefix of the user's
 * own before every path without it, and mailboxes of others could not be asked for.
 *
 * @returns null where the server said nothing that can be used
 */
export function takeNamespaces(client: ImapFlow): Namespaces | null {
  const lister = client as unknown as ListingClient
  const { namespaces, namespace } = lister
  if (!namespaces || !namespace) return null
  lister.namespace = { prefix: '', delimiter: namespace.delimiter }
  const [personal, otherUsers, shared] = [namespaces.personal, namespaces.other, namespaces.shared].map(keptOf)
  return { personal: personal ?? [], otherUsers: otherUsers ?? [], shared: shared ?? [] }
}

function keptOf(announced: Announced): NamespacePrefix[] {
  const usable = (announced || []).filter(
    ({ prefix = '' }) => prefix.length <= LONGEST_NAME && prefix === clean(prefix),
  )
  return usable
    .slice(0, MOST_NAMESPACES)
    .map(({ prefix = '', delimiter }) => ({ prefix, delimiter: delimiter ? clean(delimiter.slice(0, 8)) : null }))
}

/**
 * Lists all mailboxes, those in the namespaces of others as well, which say so among their attributes.
 *
 * @param ask makes a request
 * @param namespaces null where the server has not told them
 */
export async function listIn(
  client: ImapFlow,
  ask: (list: () => Promise<ListResponse[]>) => Promise<ListResponse[]>,
  statusQuery: StatusQuery,
  namespaces: Namespaces | null,
): Promise<MailboxReport[]> {
  const lister = client as unknown as ListingClient
  const [own, ...others] = namespaces?.personal ?? []
  // what begins with # is not mail kept as mailboxes, as a rule: files and news (RFC 2342 §4)
  const more = others.filter(({ prefix }) => !prefix.startsWith('#'))
  const listed = [...(await ask(() => lister.run('LIST', own?.prefix ?? '', '*', { statusQuery })))]
  const spaces = foreignNamespaces(namespaces)
  for (const { prefix } of [...more, ...spaces])
    if (!listed.some(({ path }) => path.startsWith(prefix)))
      listed.push(...(await ask(() => lister.run('LIST', '', `${prefix}*`, { statusQuery }))))
  return reportsOf(listed).map((report) => inNamespace(report, spaces))
}

/** The namespaces that a server tells of beside the user's own; one without a prefix cannot be told from that. */
function foreignNamespaces(namespaces: Namespaces | null): ForeignNamespace[] {
  const named = (spaces: readonly NamespacePrefix[], attribute: string) =>
    spaces.flatMap(({ prefix }) => (prefix === '' ? [] : [{ prefix, attribute }]))
  return [...named(namespaces?.otherUsers ?? [], OTHER_USERS), ...named(namespaces?.shared ?? [], SHARED)]
}

function inNamespace(report: MailboxReport, spaces: readonly ForeignNamespace[]): MailboxReport {
  const { path, delimiter, attributes } = report.listed
  const space = spaces.find(({ prefix }) => path.startsWith(prefix) || path + (delimiter ?? '') === prefix)
  if (!space) return report
  return { ...report, listed: { ...report.listed, attributes: [...attributes, space.attribute].sort() } }
}
