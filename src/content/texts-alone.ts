import { randomUUID } from 'node:crypto'
import type { Structure } from '../mailbox/message.js'

/**
 * The parts that a message's bodies are made of: of a multipart, the texts that are not marked as attachments.
 *
 * @returns null where all of the message has to be read for them: it is one part, or holds a message that is shown with it
 */
export function textsOf(structure: Structure): readonly Structure[] | null {
  if (!isMultipart(structure)) return null
  const leaves = leavesOf(structure)
  const shown = leaves.filter(({ disposition }) => disposition !== 'attachment')
  if (shown.some(({ type }) => type.startsWith('message/'))) return null
  return shown.filter(({ type }) => type === 'text/plain' || type === 'text/html')
}

/**
 * A message of the same shape that holds some of its parts alone.
 *
 * @param partOf gives a part with its own header
 */
export async function* textsAlone(
  structure: Structure,
  texts: readonly Structure[],
  partOf: (part: Structure) => Promise<AsyncIterable<Buffer>>,
): AsyncGenerator<Buffer> {
  const wanted = new Set(texts)
  async function* written(node: Structure): AsyncGenerator<Buffer> {
    if (!isMultipart(node)) {
      yield* await partOf(node)
      return
    }
    const boundary = `mailfold-${randomUUID()}`
    const type = /^multipart\/[\w.+-]+$/.test(node.type) ? node.type : 'multipart/mixed'
    yield Buffer.from(`Content-Type: ${type}; boundary="${boundary}"\r\n\r\n`)
    for (const child of node.children) {
      if (!leavesOf(child).some((leaf) => wanted.has(leaf))) continue
      yield Buffer.from(`--${boundary}\r\n`)
      yield* written(child)
      yield Buffer.from('\r\n')
    }
    yield Buffer.from(`--${boundary}--\r\n`)
  }
  yield Buffer.from('MIME-Version: 1.0\r\n')
  yield* written(structure)
}

const isMultipart = ({ type }: Structure) => type.startsWith('multipart/')

function leavesOf(structure: Structure): Structure[] {
  return isMultipart(structure) ? structure.children.flatMap(leavesOf) : [structure]
}
