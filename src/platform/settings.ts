import { closest } from 'fastest-levenshtein'
import { resolve } from 'node:path'
import { z } from 'zod'
import { EXIT } from './exit-codes.js'

const flag = z
  .enum(['true', 'false', '1', '0'], 'must be true or false')
  .transform((value) => value === 'true' || value === '1')
  .describe('true or false')

/** A whole number between two bounds, both included. */
const whole = (minimum: number, maximum: number) => {
  const error = `must be a whole number from ${minimum} to ${maximum}`
  return z.coerce.number({ error }).int(error).min(minimum, error).max(maximum, error)
}

/** One setting: how it is read, what it is when nobody sets it, and what it is for. */
type SettingDefinition<T> = { parse: z.ZodType<T>; default: string | undefined; about: string }

const setting = <T>(parse: z.ZodType<T>, fallback: string | undefined, about: string): SettingDefinition<T> => ({
  parse,
  default: fallback,
  about,
})

const ENTRY_OF_HOSTS = 'must be public, private, loopback, or networks such as 10.1.0.0/16, with commas between'

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

/** Where a Postgres is, as its clients can read it: a password may need some characters written with %. */
export const databaseAddress = z
  .string()
  .regex(/^postgres(ql)?:\/\//, 'must begin with postgres://')
  .refine(isAddress, 'is no address: in a user name or password %, #, / and @ are written %25, %23, %2F and %40')

function isAddress(url: string): boolean {
  try {
    new URL(url)
    decodeURIComponent(url)
    return true
  } catch {
    return false
  }
}

/** Most shards that the accounts can be divided into. */
export const MOST_SHARDS = 1_024

/** Every setting of the service. The help text, docs/operations.md and the checks at start all follow this list. */
export const settingDefinitions = {
  MAILFOLD_PORT: setting(whole(0, 65535), '4000', 'TCP port of the API (0: any free one)'),
  MAILFOLD_HOST: setting(z.string().min(1), '127.0.0.1', 'address that the API listens on'),
  MAILFOLD_DATA: setting(z.string().min(1), './data', 'folder of the embedded database, blobs, key and token'),
  MAILFOLD_BLOBS: setting(
    z
      .string()
      .regex(/^s3:\/\/[^/]+(\/.*)?$/, 'must be s3://bucket or s3://bucket/prefix')
      .optional(),
    undefined,
    "bucket of an S3 for raw messages (unset: the folder blobs in MAILFOLD_DATA); whose and where is said by AWS's own variables, AWS_ENDPOINT_URL_S3 above all",
  ),
  MAILFOLD_TOKEN: setting(
    z.string().min(16, 'must have 16 characters or more').optional(),
    undefined,
    'bearer token of the API, instead of the one made at the first start',
  ),
  MAILFOLD_MASTER_KEY: setting(
    z
      .string()
      .regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hexadecimal digits')
      .optional(),
    undefined,
    'master key for credentials (64 hexadecimal digits), instead of the key file in MAILFOLD_DATA',
  ),
  MAILFOLD_MASTER_KEY_BEFORE: setting(
    z
      .string()
      .regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hexadecimal digits')
      .optional(),
    undefined,
    'the master key before, while `mailfold rotate-key` seals the credentials with the new one',
  ),
  MAILFOLD_LOG_LEVEL: setting(
    z.enum(LOG_LEVELS, `must be ${LOG_LEVELS.slice(0, -1).join(', ')} or ${LOG_LEVELS.at(-1)}`),
    'warn',
    'least level that is logged',
  ),
  MAILFOLD_GRAPHIQL: setting(
    flag.optional(),
    undefined,
    'serve GraphiQL at /graphiql (unset: unless NODE_ENV is production)',
  ),
  MAILFOLD_TLS_CA: setting(
    z.string().optional(),
    undefined,
    'PEM file of certificate authorities to trust for mail servers, beside the usual ones',
  ),
  MAILFOLD_ALLOW_PLAINTEXT: setting(
    flag,
    'false',
    'allow connections without TLS to mail servers that are not on loopback',
  ),
  MAILFOLD_MAIL_HOSTS: setting(
    z
      .string()
      .transform((given) => given.split(',').map((entry) => entry.trim()))
      .pipe(
        z.array(z.union([z.enum(['public', 'private', 'loopback']), z.cidrv4(), z.cidrv6()], ENTRY_OF_HOSTS)).min(1),
      ),
    'public,private,loopback',
    'addresses that mail hosts may have: public, private, loopback, and networks such as 10.1.0.0/16, with commas between',
  ),
  MAILFOLD_CHECK_INTERVAL: setting(
    whole(200, 3_600_000),
    '30000',
    'milliseconds between two checks of all mailboxes of an account; each check also proves that the connection lives',
  ),
  MAILFOLD_ANSWER_TIMEOUT: setting(
    whole(200, 600_000),
    '20000',
    'milliseconds that a mail server may take to answer before its connection counts as dead',
  ),
  MAILFOLD_CONNECT_TIMEOUT: setting(
    whole(200, 120_000),
    '15000',
    'milliseconds that connecting to a mail server may take',
  ),
  MAILFOLD_CONTENT_TIMEOUT: setting(
    whole(200, 600_000),
    '60000',
    'milliseconds that a query waits for a message body that has to be fetched',
  ),
  MAILFOLD_STATEMENT_TIMEOUT: setting(
    whole(100, 600_000),
    '15000',
    "milliseconds that a statement may take in the database for a client's request before it is cancelled",
  ),
  MAILFOLD_CLIENT_OPERATIONS: setting(
    whole(1, 100_000),
    '500',
    'operations and downloads of one client (an address) that go on at once, subscriptions not counted',
  ),
  MAILFOLD_CLIENT_SUBSCRIPTIONS: setting(
    whole(1, 1_000_000),
    '1000',
    'subscriptions of one client (an address) at once; 200 of them on one WebSocket',
  ),
  MAILFOLD_OPERATION_TIMEOUT: setting(
    whole(200, 600_000),
    '15000',
    'milliseconds that a change of an ONLINE account waits for its server before its outcome is called unknown',
  ),
  MAILFOLD_ONLINE_INTERVAL: setting(
    whole(0, 31_536_000),
    '86400',
    'seconds after which an ONLINE account without a session is looked at, so that its quota is known (0: never)',
  ),
  MAILFOLD_MAX_MESSAGE_BYTES: setting(
    whole(1_048_576, 4 * 1024 ** 3),
    '268435456',
    'largest message, in bytes, that is fetched whole',
  ),
  MAILFOLD_HOST_CONNECTIONS: setting(
    whole(1, 10_000),
    '10',
    'collections (OFFLINE accounts) that go on at once with one mail host',
  ),
  MAILFOLD_HOST_LOGINS: setting(
    whole(1, 1_000_000),
    '60',
    'logins a minute at one mail host for collections (OFFLINE accounts); for ten minutes after it had enough, for DISCONNECTED accounts too',
  ),
  MAILFOLD_QUEUE_BOARD: setting(
    flag,
    'false',
    'serve Bull Board, which shows queues and jobs, at /queues; the token is the password',
  ),
  MAILFOLD_TRACES: setting(
    flag,
    'false',
    'send traces (OpenTelemetry); where to is said by its own variables, OTEL_EXPORTER_OTLP_ENDPOINT above all',
  ),
  MAILFOLD_ROLES: setting(
    z
      .string()
      .transform((given) => given.split(',').map((role) => role.trim()))
      .pipe(z.array(z.enum(['api', 'worker'], 'must be api, worker, or both with a comma between')).min(1)),
    'api,worker',
    'what this process is for: api answers clients, worker talks to mail servers',
  ),
  MAILFOLD_SHARDS: setting(
    whole(1, MOST_SHARDS),
    '1',
    'shards that the accounts are divided into when the database is first used; `mailfold shards` changes it later',
  ),
  MAILFOLD_LEASE: setting(
    whole(500, 25_000),
    '15000',
    'milliseconds after which the shards of a worker that has died are taken over',
  ),
  MAILFOLD_ADDRESS: setting(
    z.url({ protocol: /^https?$/, error: 'must be a URL that begins with http:// or https://' }).optional(),
    undefined,
    'where other processes reach this one (unset: by http, its first address and its port)',
  ),
  MAILFOLD_DRAIN_DELAY: setting(
    whole(0, 60_000),
    '0',
    'milliseconds from the signal to stop, when readiness ends, to the stop itself, so that no new client is sent here',
  ),
  MAILFOLD_STOP_TIMEOUT: setting(
    whole(1_000, 60_000),
    '4500',
    'milliseconds that the stop itself may take: jobs put their work down, connections are closed',
  ),
  DATABASE_URL: setting(
    databaseAddress.optional(),
    undefined,
    'Postgres 15 or later to use, instead of the embedded one',
  ),
  REDIS_URL: setting(
    z
      .string()
      .regex(/^rediss?:\/\//, 'must begin with redis://')
      .optional(),
    undefined,
    "Redis for the queues, instead of BullMQ's PostgreSQL backend",
  ),
} satisfies Record<string, SettingDefinition<unknown>>

type Definitions = typeof settingDefinitions

/** The settings that a start was given, checked; names are those of the environment variables. */
export type Settings = { readonly [Name in keyof Definitions]: z.infer<Definitions[Name]['parse']> }

/** Settings that cannot be used: its message is one line for the person who set them. */
export class BadSetting extends Error {
  readonly exitCode = EXIT.CONFIG
}

/** A variable that begins like a setting, and that only the command line reads. */
const OF_CLIENTS = 'MAILFOLD_URL'
/** What Kubernetes and Docker links set for a service named mailfold: MAILFOLD_SERVICE_HOST, MAILFOLD_PORT_4000_TCP_ADDR and others. */
const OF_A_SERVICE = /^MAILFOLD(_[A-Z0-9]+)*_(SERVICE_(HOST|PORT(_.+)?)|PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)$/

/**
 * Reads the settings from environment variables; an empty variable counts as unset.
 *
 * @throws BadSetting naming every variable that cannot be used, without its value (which may be a secret)
 */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const wrong: string[] = []
  const read = Object.entries(settingDefinitions).map(([name, definition]) => {
    const given = environment[name] || definition.default
    const result = definition.parse.safeParse(given)
    if (!result.success) wrong.push(`${name}: ${result.error.issues[0]?.message ?? 'cannot be used'}`)
    return [name, result.data]
  })
  if (wrong.length > 0) throw new BadSetting(wrong.join('; '))
  const settings = Object.fromEntries(read) as Settings
  return { ...settings, MAILFOLD_DATA: resolve(settings.MAILFOLD_DATA) }
}

/** Names in an environment that begin like a setting's and are none, each with the nearest name that is one. */
export function unknownSettings(environment: NodeJS.ProcessEnv): { name: string; nearest: string }[] {
  const known = Object.keys(settingDefinitions)
  return Object.keys(environment)
    .filter((name) => /^MAILFOLD_/i.test(name))
    .filter((name) => !known.includes(name) && name !== OF_CLIENTS && !OF_A_SERVICE.test(name))
    .map((name) => ({ name, nearest: closest(name.toUpperCase(), known) }))
}

/** The settings as a table for `--help`: name, default, purpose. */
export function describeSettings(): string {
  const rows = Object.entries(settingDefinitions).map(([name, { default: fallback, about }]) => {
    return `  ${name.padEnd(28)}${about}${fallback === undefined ? '' : ` [${fallback}]`}`
  })
  return rows.join('\n')
}
