import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { from as copyFrom } from 'pg-copy-streams'
import type { Queryable } from './database.js'

/** A value of a row: a list becomes an array of Postgres's, and what is to be JSON comes as its text. */
export type CopyValue = string | number | boolean | null | readonly string[]

/**
 * Writes rows by COPY, which takes Postgres a third less work than an INSERT of the same rows.
 *
 * @param table and `columns`, in the order of the values: names of the code's own, never from outside
 */
export async function copyRows(
  session: Queryable,
  table: string,
  columns: readonly string[],
  rows: Iterable<readonly CopyValue[]>,
): Promise<void> {
  // in parts, so that Postgres takes some in while others are being written
  await pipeline(Readable.from(lines(rows)), session.query(copyFrom(`copy ${table} (${columns.join()}) from stdin`)))
}

/** UTF-16 units of a part. */
const PART = 32_768

function* lines(rows: Iterable<readonly CopyValue[]>): Generator<string> {
  let text = ''
  for (const row of rows) {
    for (let at = 0; at < row.length; at++) text += (at === 0 ? '' : '\t') + written(row[at] ?? null)
    text += '\n'
    if (text.length < PART) continue
    yield text
    text = ''
  }
  yield text
}

function written(value: CopyValue): string {
  if (value === null) return '\\N'
  if (typeof value === 'string') return escaped(value)
  if (typeof value === 'object') return escaped(arrayOf(value))
  return String(value)
}

const SPECIAL = /[\\\t\n\r]/
const ESCAPES: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

function escaped(text: string): string {
  return SPECIAL.test(text) ? text.replace(/[\\\t\n\r]/g, (character) => ESCAPES[character] ?? character) : text
}

function arrayOf(items: readonly string[]): string {
  return `{${items.map((item) => `"${item.replace(/["\\]/g, '\\$&')}"`).join()}}`
}
