/* Grammars of what mail servers answer, with alternatives that are almost right: each generator gives text that a server could send by a fault, or on purpose. */
import fc from 'fast-check'
import { headerItem, honest, type Script } from './scripted-imap.ts'

/** One of several texts, the first of them most often. */
const mostly = (usual: fc.Arbitrary<string>, ...others: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.oneof({ weight: 3 * Math.max(1, others.length), arbitrary: usual }, ...others)

const words = (...texts: string[]) => fc.constantFrom(...texts)

/** What stands where it should not. */
const garbage = fc.oneof(
  words('', 'NIL', '(', ')', '()', '"', '\\', '{5}', '{-1}', '{99999999999}', '[', ']', '*', '%', '\u0000', '\u00ff'),
  words(
    'a'.repeat(3_000),
    '\u0001\u0002',
    '"unended',
    '((((((((((',
    '-',
    ',',
    ':',
    '1:',
    ':1',
    '1,,2',
    '~{3}',
    '&AAA-',
  ),
  fc.string({ unit: 'binary-ascii', maxLength: 12 }).map((text) => text.replaceAll(/[\r\n]/g, ' ')),
)

/** A number as IMAP and POP3 have them, and as they do not. */
const number = (usual: number) =>
  mostly(
    fc.constant(String(usual)),
    words('0', '1', '-1', '4294967295', '4294967296', '18446744073709551616', '1e9', '007', '1.5'),
    garbage,
  )

/** A set of UIDs (RFC 9051 §9, sequence-set), in any order, overlapping, huge, or none. */
const uidSet = fc
  .array(
    fc.oneof(
      fc.integer({ min: 1, max: 9 }).map(String),
      fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })).map(([from, to]) => `${from}:${to}`),
      words('1:*', '*', '*:1', '1:4294967294', '4294967295', '0', '0:5', '9:1'),
      garbage,
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((parts) => parts.join(','))

const flag = mostly(
  words('\\Seen', '\\Flagged', '$Forwarded', 'NonJunk'),
  words('\\seen', '\\', '\\*', '\\Recent', 'a\\b', '"quoted"', '{x', 'p%', '\u007f', '\u00e9', 'k'.repeat(300)),
  garbage,
)
const flags = mostly(
  fc.array(flag, { maxLength: 4 }).map((all) => `(${all.join(' ')})`),
  words(
    'NIL',
    '()',
    '(',
    '((\\Seen))',
    '\\Seen',
    `(${Array.from({ length: 2_000 }, (_, index) => `f${index}`).join(' ')})`,
  ),
)

const string = mostly(
  words('"fine"', 'NIL', '"=?utf-8?q?fine?="'),
  words(
    '"a\\"b"',
    '"a\\b"',
    'bare',
    '{4}\r\nfine',
    '{3}\r\nfine',
    '"\u0000"',
    '"=?nope?x?==?="',
    `"${'s'.repeat(9_000)}"`,
  ),
  garbage,
)
const address = mostly(
  words('(("Ada" NIL "ada" "example.org"))', 'NIL'),
  words('((NIL NIL NIL NIL))', '(("a" "b" "c"))', '()', '("Ada")', '((("Ada" NIL "ada" "x")))'),
  garbage,
)
const envelope = mostly(
  fc
    .tuple(string, address)
    .map(([subject, from]) => `("Thu, 01 Jan 2026 00:00:00 +0000" ${subject} ${from} NIL NIL NIL NIL NIL NIL "<m@x>")`),
  words('NIL', '()', '("one")', '(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)'),
)
const fields = mostly(
  fc
    .tuple(string, string)
    .map(([subject, from]) => headerItem({ Subject: subject, From: from, 'Message-ID': '<m@x>' })),
  words(
    'BODY[HEADER] {4}\r\nfine',
    'BODY[HEADER.FIELDS (SUBJECT)] NIL',
    'BODY[HEADER.FIELDS (SUBJECT)] ""',
    'BODY[HEADER.FIELDS (SUBJECT)] {999}\r\nSubject: short',
    'BODY[HEADER.FIELDS (SUBJECT] {2}\r\n\r\n',
    'BODY[] {2}\r\n\r\n',
  ),
  garbage,
)
const structure = mostly(
  words(
    '("text" "plain" NIL NIL NIL "7bit" 10 1)',
    '(("text" "plain" NIL NIL NIL "7bit" 10 1)("text" "html" NIL NIL NIL "7bit" 10 1) "alternative")',
  ),
  words(
    'NIL',
    '()',
    '("text")',
    '("text" "plain" ("charset") NIL NIL "7bit" -1 x)',
    '("message" "rfc822" NIL NIL NIL "7bit" 10 NIL NIL 1)',
  ),
  words(`${'('.repeat(300)}"text" "plain" NIL NIL NIL "7bit" 10 1${')'.repeat(300)}`),
)
const date = mostly(
  words('"01-Jan-2026 00:00:00 +0000"'),
  words('" 1-Jan-2026 00:00:00 +0000"', '"99-Foo-2026 25:61:00 +9999"', 'NIL', '"01-Jan-0000 00:00:00 +0000"', '""'),
  garbage,
)

/** An answer to FETCH for one message, its items in any order, some missing or twice. */
const fetchItems = (uid: number) =>
  fc
    .tuple(
      number(uid),
      flags,
      date,
      number(10),
      envelope,
      fields,
      structure,
      fc.array(fc.nat({ max: 5 }), { maxLength: 3 }),
    )
    .map(([uidText, flagList, when, size, head, header, body, twice]) => {
      const items = [
        `UID ${uidText}`,
        `FLAGS ${flagList}`,
        `INTERNALDATE ${when}`,
        `RFC822.SIZE ${size}`,
        `ENVELOPE ${head}`,
        header,
        `BODYSTRUCTURE ${body}`,
      ]
      for (const at of twice.slice(1)) items.push(items[at] ?? '')
      if (twice[0] !== undefined) items.splice(twice[0], 1)
      return items.join(' ')
    })
const fetchAnswer = (uid: number) =>
  fc.tuple(number(uid), fetchItems(uid)).map(([sequence, items]) => `* ${sequence} FETCH (${items})`)

const mailboxName = mostly(
  words('INBOX', 'Work', '"Two words"', 'A/B'),
  words(
    'inbox',
    'iNbOx/Below',
    '""',
    '"a//b"',
    '/',
    '&AAA-',
    '&Jjo',
    '"\u0000"',
    '"b\u00ffd"',
    '{4}\r\nWork',
    '"' + 'n'.repeat(2_000) + '"',
    '..',
    'INBOX/',
  ),
  garbage,
)
const listAnswer = fc
  .tuple(
    mostly(words('()', '(\\HasNoChildren)', '(\\Noselect)', '(\\Sent)'), words('NIL', '(\\)', '(', 'x'), garbage),
    mostly(words('"/"', '"."', 'NIL'), words('""', '"\\\\"', '"ab"', '/', '"\u0000"'), garbage),
    mailboxName,
  )
  .map(([attributes, delimiter, name]) => `* LIST ${attributes} ${delimiter} ${name}`)

const statusAnswer = fc
  .tuple(mailboxName, number(3), number(4), number(9))
  .map(
    ([name, messages, next, validity]) =>
      `* STATUS ${name} (MESSAGES ${messages} UIDNEXT ${next} UIDVALIDITY ${validity})`,
  )

const selectAnswer = fc
  .tuple(number(3), number(9), number(4), flags, mostly(fc.constant('100'), garbage))
  .map(([exists, validity, next, flagList, modseq]) =>
    [
      `* ${exists} EXISTS`,
      `* OK [UIDVALIDITY ${validity}] valid`,
      `* OK [UIDNEXT ${next}] next`,
      `* FLAGS ${flagList}`,
      `* OK [PERMANENTFLAGS ${flagList}] kept`,
      `* OK [HIGHESTMODSEQ ${modseq}] highest`,
    ].join('\r\n'),
  )

const searchAnswer = fc.oneof(
  fc.array(number(2), { maxLength: 6 }).map((uids) => `* SEARCH ${uids.join(' ')}`),
  fc.tuple(uidSet, number(3)).map(([all, count]) => `* ESEARCH (TAG "x") UID ALL ${all} COUNT ${count}`),
  uidSet.map((all) => `* ESEARCH UID ALL ${all}`),
)

const capabilities = fc
  .array(
    fc.oneof(
      words(
        'IMAP4rev1',
        'IDLE',
        'ESEARCH',
        'UIDPLUS',
        'MOVE',
        'CONDSTORE',
        'QRESYNC',
        'ENABLE',
        'ID',
        'NAMESPACE',
        'LIST-STATUS',
        'QUOTA',
        'NOTIFY',
      ),
      words('AUTH=', '=', 'LITERAL-', 'X'.repeat(500)),
      garbage,
    ),
    { maxLength: 8 },
  )
  .map((all) => `* CAPABILITY IMAP4rev1 ${all.join(' ')}`)

const tagged = mostly(
  words('OK done'),
  words(
    'NO no',
    'BAD what?',
    'OK',
    'NO [',
    'NO [UNAVAILABLE] later',
    'NO [NONEXISTENT] none',
    'BYE',
    'PREAUTH x',
    'NO [ALERT] ' + 'x'.repeat(5_000),
  ),
  garbage,
)

/** What a server says while it is only listened to. */
const unasked = fc.oneof(
  number(4).map((count) => `* ${count} EXISTS`),
  number(2).map((sequence) => `* ${sequence} EXPUNGE`),
  uidSet.map((uids) => `* VANISHED ${uids}`),
  uidSet.map((uids) => `* VANISHED (EARLIER) ${uids}`),
  fetchAnswer(2),
  statusAnswer,
  listAnswer,
  garbage.map((text) => `* ${text}`),
  garbage,
)

/** How one almost right IMAP server answers; null where it answers as it should. */
export type AlmostImap = {
  greeting: string | null
  capabilities: string | null
  list: string[] | null
  status: string | null
  select: string | null
  search: string | null
  fetch: string[] | null
  tagged: { command: string; result: string } | null
  unasked: string[] | null
}

const sometimes = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { freq: 3 })

/** Servers that go wrong in one place, or in a few. */
export const almostImap: fc.Arbitrary<AlmostImap> = fc.record({
  greeting: fc
    .option(
      fc.oneof(
        words('* OK ready', '* PREAUTH ready', '* BYE go away', '* OK', 'OK', '* OK [CAPABILITY', '+OK ready'),
        garbage,
      ),
      { freq: 20 },
    )
    .map((text) => text),
  capabilities: sometimes(capabilities),
  list: sometimes(fc.array(listAnswer, { maxLength: 5 })),
  status: sometimes(statusAnswer),
  select: sometimes(selectAnswer),
  search: sometimes(searchAnswer),
  fetch: sometimes(fc.tuple(fetchAnswer(1), fetchAnswer(2), fetchAnswer(3)).map((answers) => [...answers])),
  tagged: sometimes(
    fc.record({
      command: words(
        'CAPABILITY',
        'LIST',
        'LSUB',
        'STATUS',
        'SELECT',
        'UID SEARCH',
        'UID FETCH',
        'IDLE',
        'DONE',
        'ENABLE',
        'NAMESPACE',
      ),
      result: tagged,
    }),
  ),
  unasked: sometimes(fc.array(unasked, { minLength: 1, maxLength: 5 })),
})

const WHOLE = (uid: number) =>
  `* ${uid} FETCH (UID ${uid} FLAGS () INTERNALDATE "01-Jan-2026 00:00:00 +0000" RFC822.SIZE 10 ${headerItem({ Subject: 'fine', 'Message-ID': `<${uid}@x>` })} BODYSTRUCTURE ("text" "plain" NIL NIL NIL "7bit" 10 1))`

/** The server as a script: in all that is not given, an honest one with three messages. */
export function scriptOf(server: AlmostImap): Script {
  const answersOf = (command: string): readonly string[] | null => {
    if (/^CAPABILITY/i.test(command)) return server.capabilities === null ? null : [server.capabilities]
    if (/^LIST.*\*/i.test(command)) return server.list && ['* LIST () "/" INBOX', ...server.list]
    if (/^STATUS/i.test(command)) return server.status === null ? null : [server.status]
    if (/^(SELECT|EXAMINE)/i.test(command)) return server.select === null ? null : [server.select]
    if (/^UID SEARCH/i.test(command)) return server.search === null ? null : [server.search]
    if (/^UID FETCH/i.test(command)) return server.fetch
    return null
  }
  return (command, say) => {
    const own = answersOf(command)
    for (const line of own ?? []) say(line)
    let result: string | null = 'OK done'
    if (!own) result = honest(command, say, [WHOLE(1), WHOLE(2), WHOLE(3)])
    if (/^IDLE/i.test(command)) for (const line of server.unasked ?? []) say(line)
    const { tagged: odd } = server
    return odd && command.toUpperCase().startsWith(odd.command) ? odd.result : result
  }
}

const popStatus = mostly(
  words('+OK'),
  words('+OK ready <1@x>', '-ERR no', '-ERR [IN-USE] locked', '+', 'OK', '* OK'),
  garbage,
)
const popLines = (line: (number: number) => fc.Arbitrary<string>) =>
  fc
    .tuple(line(1), line(2), line(3), fc.array(garbage, { maxLength: 2 }), mostly(words('.'), words('. ', '..', '')))
    .map(([one, two, three, more, end]) => ['+OK', one, two, three, ...more, end])

/** How one almost right POP3 server answers each command; what is not given it answers as it should. */
export type AlmostPop3 = { greeting: string | null; answers: Partial<Record<string, string[]>> }

/** Servers that go wrong in one place, or in a few. */
export const almostPop3: fc.Arbitrary<AlmostPop3> = fc
  .record({
    greeting: fc.option(popStatus, { freq: 15 }).map((text) => text),
    CAPA: sometimes(
      popLines(() => fc.oneof(words('UIDL', 'TOP', 'USER', 'SASL PLAIN', 'EXPIRE NEVER', 'PIPELINING'), garbage)),
    ),
    STAT: sometimes(fc.tuple(number(3), number(120)).map(([count, size]) => [`+OK ${count} ${size}`])),
    LIST: sometimes(popLines((at) => fc.tuple(number(at), number(40)).map(([index, size]) => `${index} ${size}`))),
    UIDL: sometimes(
      popLines((at) =>
        fc
          .tuple(number(at), mostly(fc.constant(`uid${at}`), words('uid1', 'u'.repeat(100), 'two words'), garbage))
          .map(([index, uidl]) => `${index} ${uidl}`),
      ),
    ),
    RETR: sometimes(popStatus.map((status) => [status])),
    TOP: sometimes(popStatus.map((status) => [status])),
    DELE: sometimes(popStatus.map((status) => [status])),
  })
  .map(({ greeting, ...answers }) => ({
    greeting,
    answers: Object.fromEntries(
      Object.entries(answers).filter((entry): entry is [string, string[]] => entry[1] !== null),
    ),
  }))
