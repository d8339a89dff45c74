import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import type pg from 'pg'
import { uuidOf } from './installation.ts'
import { mailfold, until, type Service } from './service.ts'

/** How an account's connection stands, as an operator sees it over GraphQL. */
export type SeenConnection = {
  state: string
  reason: string | null
  remedy: string | null
  failingSince: string | null
  failureId: string | null
}

const STATE = `query ($id: ID!) { account(id: $id) { connection { state reason remedy failingSince failureId } } }`

/** How an account's connection stands. */
export async function connectionOf(service: Service, id: string): Promise<SeenConnection> {
  return (await service.ask<{ account: { connection: SeenConnection } }>(STATE, { id })).account.connection
}

/** Waits until an account says why it is not worked on. @returns how it stands then */
export async function failing(
  service: Service,
  id: string,
  wanted: Partial<SeenConnection>,
  hurry = true,
): Promise<SeenConnection> {
  let seen: SeenConnection | undefined
  await until(async () => {
    if (hurry) await syncNow(service, id)
    seen = await connectionOf(service, id)
    return Object.entries(wanted).every(([name, value]) => seen?.[name as keyof SeenConnection] === value)
  }).catch((error: unknown) => {
    throw new Error(`${JSON.stringify(seen)} is not ${JSON.stringify(wanted)}; ${service.said().slice(-3_000)}`, {
      cause: error,
    })
  })
  return seen as SeenConnection
}

/** Has an account brought up to date now. */
export async function syncNow(service: Service, id: string): Promise<void> {
  await service.ask('mutation ($id: ID!) { syncNow(accountId: $id) { errors { __typename } } }', { id })
}

/** Waits until nothing keeps an account from being worked on. */
export async function isWell(service: Service, id: string): Promise<void> {
  await failing(service, id, { state: 'CONNECTED', reason: null, remedy: null, failingSince: null, failureId: null })
}

/** How many events of a type an account has. */
export async function eventsOf(database: Pick<pg.Client, 'query'>, id: string, type: string): Promise<number> {
  const sql = 'select count(*) from events where account_id = $1 and type = $2'
  const { rows } = await database.query<{ count: string }>(sql, [uuidOf(id), type])
  return Number(rows[0]?.count)
}

/** What `mailfold accounts` says of an account. */
export async function lineOf(service: Service, id: string): Promise<string> {
  const { stdout } = await mailfold(['accounts'], service.clientEnvironment)
  return stdout.split('\n').find((line) => line.startsWith(id)) ?? ''
}

/** The lines of a service's log that have a failure's id. */
export function linesWith(service: Service, failureId: string | null): string[] {
  return service
    .said()
    .split('\n')
    .filter((line) => failureId !== null && line.includes(`"failureId":"${failureId}"`))
}

/** A small disk on a folder. @returns takes it away */
export function smallDisk(folder: string, megabytes: number): () => void {
  mkdirSync(folder, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'none', folder])
  return () => execFileSync('umount', ['-l', folder])
}
