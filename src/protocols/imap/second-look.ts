import type { FetchMessageObject, FetchQueryObject } from 'imapflow'
import { isRefusal } from '../../mailbox/failures.js'
import { partsOf, type Defect, type MessageData, type Structure } from '../../mailbox/message.js'
import { headOf, readTree } from '../../mime/mime-tree.js'
import { described, structureOf } from '../../mime/structure.js'

/*
 * A server reads a message in its own way for BODYSTRUCTURE (RFC 9051 §7.5.2). Where what it tells cannot be all, the bytes are looked at.
 */

/** Bytes up to which a message is fetched as a whole to see what parts it has. */
const SMALL = 256 * 1024

/** A header that says that its message has parts. */
const SAYS_MULTIPART = /^content-type[ \t]*:\s*multipart\//im

/** What is to be looked at of a message: all of it, or the headers of some of its parts. */
export type SecondLook = 'MESSAGE' | readonly string[]

/** What is to be looked at again, by the UIDs of messages. */
export type Looks = Map<number, SecondLook>

/**
 * Looks at the bytes of messages of which the server's own reading is doubtful; one that does not come stays as it was read.
 *
 * @param fetch asks the server for messages, by their UIDs
 * @throws ServerFailed, but for refusals
 */
export async function readAgain(
  messages: readonly MessageData[],
  looks: Looks,
  fetch: (uids: Iterable<number>, query: FetchQueryObject) => AsyncIterable<FetchMessageObject>,
): Promise<MessageData[]> {
  const read = new Map(messages.map((message) => [message.uid, message]))
  for (const [look, uids] of groupsOfLooks(looks)) {
    try {
      for await (const answer of fetch(uids, queryFor(look))) {
        const message = uids.has(answer.uid) && read.get(answer.uid)
        if (message) read.set(answer.uid, lookedAtAgain(message, look, answer))
      }
    } catch (error) {
      if (!isRefusal(error)) throw error
    }
  }
  return [...read.values()]
}

/** Messages of which the same is looked at, to be asked for together. */
function groupsOfLooks(looks: Looks): [SecondLook, ReadonlySet<number>][] {
  const groups = Map.groupBy(looks, ([, look]) => String(look))
  return [...groups.values()].map((group) => [group[0]?.[1] ?? [], new Set(group.map(([uid]) => uid))])
}

/**
 * What of a message's structure is doubtful: a multipart with nothing in its parts, or a part that is a file and has no name, or one whose end, or whose characters, the
 * server has lost.
 */
export function secondLookAt({ structure, size }: MessageData, headers: Buffer | undefined): SecondLook | null {
  if (!structure || !headers) return null
  const hasParts =
    structure.type.startsWith('multipart/') && partsOf(structure, false).some(({ part }) => (part.size ?? 0) > 0)
  if (!hasParts) return SAYS_MULTIPART.test(headers.toString('latin1')) && size <= SMALL ? 'MESSAGE' : null
  const doubtful = partsOf(structure, false).filter(({ part }) => isDoubtfulName(part))
  return doubtful.length > 0 ? doubtful.map(({ part }) => part.part) : null
}

/** Whether a part has a name that cannot be all of it. */
function isDoubtfulName({ type, filename, disposition }: Structure): boolean {
  if (filename === null) return disposition === 'attachment' && !type.startsWith('message/')
  return !/\.[\w-]{1,16}$/.test(filename) || /[\uFFFD?]|^[^"]*"$/.test(filename)
}

/** What is asked for to look again. */
function queryFor(look: SecondLook): FetchQueryObject {
  return look === 'MESSAGE'
    ? { uid: true, source: true }
    : { uid: true, bodyParts: look.map((number) => `${number}.mime`) }
}

/** A message with what its bytes say of its parts; as it was where they did not come. */
function lookedAtAgain(message: MessageData, look: SecondLook, answer: FetchMessageObject): MessageData {
  const defects = new Set<Defect>(message.defects)
  if (look !== 'MESSAGE') {
    const before = message.structure
    const structure = before && withHeaders(before, answer.bodyParts ?? new Map<string, Buffer>(), defects)
    return { ...message, structure, defects: [...defects] }
  }
  if (!answer.source) return message
  const structure = structureOf(readTree(answer.source).root, defects.add('STRUCTURE_MISTOLD'))
  return { ...message, structure, defects: [...defects] }
}

/** A structure with what the headers of its parts say, by the names of their sections. */
function withHeaders(node: Structure, headers: ReadonlyMap<string, Buffer>, defects: Set<Defect>): Structure {
  const children = node.children.map((child) => withHeaders(child, headers, defects))
  const header = headers.get(`${node.part}.mime`)
  // a multipart's number is also that of a message in which it is
  if (!header || node.type.startsWith('multipart/')) return { ...node, children }
  const { filename, disposition, contentId } = described(headOf(header, false), defects)
  return { ...node, filename, disposition, contentId, children }
}
