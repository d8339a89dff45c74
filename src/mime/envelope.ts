import addressparser from 'nodemailer/lib/addressparser'
import { bounded, boundedListId, boundedReferences, isoDate, MOST_ADDRESSES } from '../mailbox/message-bounds.js'
import type { Address, Defect, Envelope } from '../mailbox/message.js'
import { readDate } from './header-date.js'
import { firstOf, type HeaderField } from './header-fields.js'
import { decodeHeaderText } from './header-text.js'

/** The fields of a header that a message is known by: all that `readEnvelope` looks at. */
export const ENVELOPE_FIELDS = [
  ...['Date', 'Subject', 'From', 'Sender', 'Reply-To', 'To', 'Cc', 'Bcc'],
  ...['In-Reply-To', 'Message-ID', 'References', 'List-Id', 'Content-Type'],
] as const

/** Characters of a field that are looked at: more than any of its bounds lets through. */
const LONGEST_FIELD = 256 * 1024

/** What a message's header says of it. */
export type HeaderData = { envelope: Envelope; references: readonly string[]; listId: string | null }

/**
 * Reads a message's header, whatever it is like: the one reading, whether the header came with the message or by itself.
 *
 * @param charset of the message's text, in which headers may be written as well
 * @param defects where it is noted what could not be kept
 */
export function readEnvelope(fields: readonly HeaderField[], charset: string | null, defects: Set<Defect>): HeaderData {
  const first = (name: string) => firstOf(fields, name)?.slice(0, LONGEST_FIELD) ?? ''
  const text = (name: string) => bounded(decodeHeaderText(first(name), charset), defects)
  const people = (values: readonly string[]) => addressesIn(values, charset, defects)
  // who writes the recipients one to a field has several (RFC 5322 §3.6 allows one)
  const all = (name: string) => fields.filter((field) => field.name === name).map(({ value }) => value)
  const from = people([first('from')])
  const otherwise = (list: Address[]) => (list.length > 0 ? list : from)
  const sent = readDate(first('date'))
  return {
    envelope: {
      date: sent === null ? null : isoDate(new Date(sent)),
      subject: text('subject'),
      from,
      // who is not named is the one of From (RFC 9051 §7.5.2)
      sender: otherwise(people([first('sender')])),
      replyTo: otherwise(people(all('reply-to'))),
      to: people(all('to')),
      cc: people(all('cc')),
      bcc: people(all('bcc')),
      inReplyTo: text('in-reply-to') || null,
      messageId: text('message-id') || null,
    },
    references: boundedReferences(first('references'), defects),
    listId: boundedListId(first('list-id')),
  }
}

function addressesIn(values: readonly string[], charset: string | null, defects: Set<Defect>): Address[] {
  const field = values.filter((value) => value !== '').join(', ')
  if (field === '') return []
  const found = addressparser(field.slice(0, LONGEST_FIELD), { flatten: true })
  if (found.length > MOST_ADDRESSES || field.length > LONGEST_FIELD) defects.add('ADDRESSES_TRUNCATED')
  return found.slice(0, MOST_ADDRESSES).map(({ name, address }) => {
    // one word that is not in brackets is the name of a mailbox on the sender's own host
    const isLocal = address === '' && /^[^\s"<>=?]+$/.test(name) && !field.includes('<')
    const shown = isLocal ? { name: '', address: name } : { name, address }
    return {
      name: bounded(decodeHeaderText(shown.name, charset), defects),
      address: bounded(decodeHeaderText(shown.address, charset), defects),
    }
  })
}
