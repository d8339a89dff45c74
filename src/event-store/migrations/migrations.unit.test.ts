import type { QueryRunner } from 'typeorm'
import { MIGRATIONS } from './index.js'

/** How many migrations there were before several processes could work on one database. */
const ALONE = 8

/** What takes away something that the version before reads, or refuses what it writes. */
const TAKING = [
  /\bdrop\s+(table|column|view|type|sequence|schema)\b/i,
  /\balter\s+table\b[^;]*\bdrop\s+(?!not\s+null)/i,
  /\brename\b/i,
  /\bset\s+not\s+null\b/i,
  /\balter\s+(column\s+)?\w+\s+type\b/i,
  /\badd\s+(column\s+)?(?!constraint)\w+\s+[^,;]*\bnot\s+null\b(?![^,;]*\bdefault\b)/i,
]

/** A table that is replaced in the same transaction by a wider one, with all that it held, is not taken away. */
const WIDENED = /\bdrop table (\w+);\s*alter table \1_wider rename to \1\b/gi

async function statementsOf(Migration: (typeof MIGRATIONS)[number]): Promise<string> {
  const statements: string[] = []
  const query = (text: string) => {
    statements.push(text)
    return Promise.resolve([])
  }
  await new Migration().up({ query } as unknown as QueryRunner)
  return statements.join(';\n')
}

test('a migration takes nothing away that the version before needs: both work on one database while processes are replaced', async () => {
  for (const Migration of MIGRATIONS.slice(ALONE)) {
    const text = (await statementsOf(Migration)).replaceAll(WIDENED, '')
    for (const pattern of TAKING) expect([Migration.name, pattern.exec(text)?.[0]]).toEqual([Migration.name, undefined])
  }
})

test.each([
  'alter table messages drop flags',
  'drop table kept_messages',
  'alter table accounts rename state to connection',
  'alter table messages alter uid set not null',
  'alter table streams alter fence type integer',
  'alter table accounts add quota bigint not null',
])('%s would be found', (text) => {
  expect(TAKING.some((pattern) => pattern.test(text))).toBe(true)
})

test.each([
  'alter table accounts add quota bigint not null default 0, add at timestamptz',
  'create table more (id uuid not null)',
])('%s is no such thing', (text) => {
  expect(TAKING.some((pattern) => pattern.test(text))).toBe(false)
})
