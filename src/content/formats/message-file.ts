import type { Flags } from '../../mailbox/flags.js'

/** A file is not of the format that it was said to be; the message is one sentence for a person. */
export class UnreadableFile extends Error {}

/** A message on its way out of Mailfold into a file of some format, with what the file's name tells of it. */
export type ExportedMessage = {
  messageId: string
  /** path of its mailbox, with / between the levels */
  path: string
  flags: Flags
  internalDate: Date
  subject: string
  /** the address of From; empty where there is none */
  sender: string
  /** bytes of the content */
  size: number
  /** the raw message; to be read to its end before the next message is asked for */
  content: AsyncIterable<Buffer>
}
