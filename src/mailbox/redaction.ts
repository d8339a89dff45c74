import type { AccountEvent } from './events.js'
import type { MessageData } from './message.js'

/** A message's metadata without anything that its sender wrote: what is left keeps it in its place, and tells it again. */
export function redactMessage({ listId: _, ...message }: MessageData): MessageData {
  return {
    ...message,
    envelope: {
      ...{ date: null, subject: '', from: [], sender: [], replyTo: [], to: [], cc: [], bcc: [] },
      ...{ inReplyTo: null, messageId: null },
    },
    structure: null,
    references: [],
    threadId: null,
    defects: [],
    forgotten: true,
  }
}

/** An event of a forgotten message without what it said of the message's content; most say nothing of it. */
export function redact<Event extends AccountEvent>(event: Event): Event {
  switch (event.type) {
    case 'MessageAdded': {
      const content = event.data.content && { sha256: null, size: 0 }
      return { ...event, data: { ...event.data, ...redactMessage(event.data), ...(content && { content }) } }
    }
    case 'MessageMoved':
    case 'MessageRead':
      return { ...event, data: { ...event.data, ...redactMessage(event.data) } }
    case 'MessageContentStored':
      return { ...event, data: { ...event.data, sha256: null, size: 0 } }
    case 'MessageContentUnavailable':
      return { ...event, data: { ...event.data, reason: '' } }
    default:
      return event
  }
}
