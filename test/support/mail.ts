/** What a generated message is to be like; everything else follows from its number. */
export type MailWish = Partial<{
  subject: string
  from: string
  to: string
  messageId: string
  inReplyTo: string
  references: string
  listId: string
  date: Date
  body: string
  attachment: { name: string; content: Buffer }
}>

const PEOPLE = [
  'Ada Lovelace <ada@example.org>',
  'Бо́ря <borya@example.org>',
  '"山田 太郎" <taro@example.jp>',
  'José Núñez <jose@example.es>',
  'مريم <maryam@example.com>',
  'bob@example.net',
]
const SUBJECTS = [
  'Quarterly report',
  'Встреча в четверг',
  '会議の議事録',
  'Café à Paris?',
  'مرحبا بالعالم',
  'Re: lunch',
  '🎉 We did it',
  'Invoice 2026-',
]

/** A plain pseudo-random sequence, so that a generated mailbox is the same each time. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const encoded = (text: string) =>
  text.replace(/[^\x20-\x7e]+[^<]*/g, (part) => `=?utf-8?B?${Buffer.from(part.trim()).toString('base64')}?= `).trim()

/** A raw message, CRLF throughout. */
export function mail(number: number, wish: MailWish = {}): string {
  const random = randomFrom(number + 1)
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T
  const date = wish.date ?? new Date(Date.UTC(2026, 0, 1) + number * 60_000)
  const headers = [
    `Date: ${date.toUTCString().replace('GMT', '+0000')}`,
    `From: ${encoded(wish.from ?? pick(PEOPLE))}`,
    `To: ${encoded(wish.to ?? pick(PEOPLE))}`,
    `Subject: ${encoded(wish.subject ?? `${pick(SUBJECTS)}${number}`)}`,
    `Message-ID: ${wish.messageId ?? `<m${number}@example.org>`}`,
    ...(wish.inReplyTo ? [`In-Reply-To: ${wish.inReplyTo}`] : []),
    ...(wish.listId ? [`List-Id: ${wish.listId}`] : []),
    ...(wish.references ? [`References: ${wish.references}`] : []),
    'MIME-Version: 1.0',
  ]
  const text = wish.body ?? `Message ${number}.\r\n${'Lorem ipsum dolor sit amet. '.repeat(Math.floor(random() * 20))}`
  if (!wish.attachment)
    return [
      ...headers,
      'Content-Type: text/plain; charset=utf-8',
      'Content-Transfer-Encoding: 8bit',
      '',
      text,
      '',
    ].join('\r\n')
  const { name, content } = wish.attachment
  const base64 = content.toString('base64').replace(/.{76}/g, '$&\r\n')
  return [
    ...headers,
    'Content-Type: multipart/mixed; boundary="=_mf"',
    '',
    '--=_mf',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    '',
    text,
    '--=_mf',
    `Content-Type: application/octet-stream; name="${name}"`,
    `Content-Disposition: attachment; filename="${name}"`,
    'Content-Transfer-Encoding: base64',
    '',
    base64,
    '--=_mf--',
    '',
  ].join('\r\n')
}

/** A varied mailbox: threads, attachments, alphabets. */
export function variedMail(number: number): string {
  const random = randomFrom(number * 7 + 3)
  const thread = number - (number % 5)
  const inThread =
    number % 5 > 0
      ? {
          inReplyTo: `<m${number - 1}@example.org>`,
          references: `<m${thread}@example.org> <m${number - 1}@example.org>`,
          subject: `Re: Thread ${thread}`,
        }
      : {}
  const attachment =
    random() < 0.2
      ? { attachment: { name: `file-${number}.bin`, content: Buffer.alloc(Math.floor(random() * 4000), number) } }
      : {}
  return mail(number, { ...inThread, ...attachment })
}
