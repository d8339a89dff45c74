import { create } from 'content-disposition'
import type { FastifyReply } from 'fastify'

/** Most bytes of a name, in UTF-8: what file systems take. */
const LONGEST_NAME = 200
/** Most characters of what is behind the last dot, so that it is kept of a name that is cut. */
const LONGEST_EXTENSION = 20

/**
 * The name under which a file that somebody sent is saved: what shows a name as another one (control characters, marks that turn the direction of
 * writing), and what is a place in a folder, is taken out, and of a long name the end is kept.
 */
export function downloadName(said: string | null, otherwise: string): string {
  const name = (said ?? '')
    .toWellFormed()
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\ufeff]/gu, '')
    .replace(/[/\\]/g, '_')
    .trim()
  if (/^\.*$/.test(name)) return otherwise
  const dot = name.lastIndexOf('.')
  const extension = dot > 0 && name.length - dot <= LONGEST_EXTENSION ? name.slice(dot) : ''
  const stem = name.slice(0, name.length - extension.length)
  return cut(stem, LONGEST_NAME - Buffer.byteLength(extension)) + extension
}

/**
 * Says that what is sent is a file of somebody else (RFC 6266): never shown under this service's origin, and never taken for what it does not
 * say it is.
 */
export function asDownload(reply: FastifyReply, name: string): FastifyReply {
  return reply
    .header('content-disposition', create(name))
    .header('x-content-type-options', 'nosniff')
    .header('content-security-policy', 'sandbox')
}

/** As many whole characters as have so many bytes. */
function cut(text: string, bytes: number): string {
  let length = 0
  const kept = [...text].slice(0, bytes).filter((character) => (length += Buffer.byteLength(character)) <= bytes)
  return kept.join('')
}
