import cliProgress from 'cli-progress'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { Writable } from 'node:stream'
import { EXIT } from '../platform/exit-codes.js'
import { ApiClient, ApiFailure } from './api-client.js'

/** What `connect` may be told beside the address. */
export type ConnectOptions = {
  model: string
  passwordEnv?: string
  plaintext?: boolean
  xoauth2?: boolean
  wait: boolean
  trustCertificate?: string
  json?: boolean
}

const CONNECT = `mutation ($input: ConnectAccountInput!) {
  connectAccount(input: $input) { account { id } errors { __typename ... on UserError { message } ... on TlsNotTrusted { certificateFingerprint } } }
}`

const PROGRESS = `query ($id: ID!) {
  account(id: $id) {
    connection { state reason } progress { done total isComplete } messagesPerSecond reading { path }
  }
}`

type Progress = {
  connection: { state: string; reason: string | null }
  progress: { done: number; total: number; isComplete: boolean }
  messagesPerSecond: number
  reading: { path: string } | null
}

/** Connects an account and follows its first sync. @returns the exit code */
export async function connect(url: string, options: ConnectOptions): Promise<number> {
  const input = { ...readAddress(url, options), password: await readPassword(options.passwordEnv) }
  const client = await ApiClient.find(process.env)
  type Payload = {
    connectAccount: { account: { id: string } | null; errors: Problem[] }
  }
  const { connectAccount } = await client.ask<Payload>(CONNECT, { input })
  const { account, errors } = connectAccount
  if (!account) {
    for (const error of errors)
      process.stderr.write(
        options.json ? JSON.stringify(error) + '\n' : `mailfold: ${error.message}\n${howToTrust(error)}`,
      )
    return errors[0]?.__typename === 'LoginRefused' ? EXIT.NOT_PERMITTED : EXIT.UNAVAILABLE
  }
  process.stdout.write(
    options.json ? JSON.stringify({ account: account.id }) + '\n' : `Connected: account ${account.id}\n`,
  )
  if (options.wait) await followSync(client, account.id, options.json === true)
  return 0
}

type Problem = { __typename: string; message: string; certificateFingerprint?: string | null }

/** What to do about a certificate that is not trusted; empty for every other error. */
function howToTrust({ certificateFingerprint }: Problem): string {
  if (!certificateFingerprint) return ''
  return `If the server itself says that its certificate has this SHA-256, connect again with --trust-certificate ${certificateFingerprint}\n`
}

const SCHEMES: Record<string, { protocol: string; security: string }> = {
  'imaps:': { protocol: 'IMAP', security: 'IMPLICIT_TLS' },
  'imap:': { protocol: 'IMAP', security: 'STARTTLS' },
  'pop3s:': { protocol: 'POP3', security: 'IMPLICIT_TLS' },
  'pop3:': { protocol: 'POP3', security: 'STARTTLS' },
}

function readAddress(url: string, { model, plaintext, xoauth2, trustCertificate }: ConnectOptions) {
  const address = URL.canParse(url) ? new URL(url) : null
  const scheme = SCHEMES[address?.protocol ?? '']
  if (!address || !scheme || !address.hostname || !address.username) {
    throw new ApiFailure(
      'the address must be like imaps://user@host, imap://user@host:port or pop3s://user@host',
      EXIT.USAGE,
    )
  }
  // it would stand in the shell's history and the process list by now
  if (address.password)
    throw new ApiFailure(
      'the password may not stand in the address: it is asked for, or read from standard input',
      EXIT.USAGE,
    )
  if (!['OFFLINE', 'ONLINE', 'DISCONNECTED'].includes(model.toUpperCase()))
    throw new ApiFailure('--model must be offline, online or disconnected', EXIT.USAGE)
  return {
    model: model.toUpperCase(),
    protocol: scheme.protocol,
    security: plaintext ? 'PLAINTEXT' : scheme.security,
    host: address.hostname.replace(/^\[|\]$/g, ''),
    port: address.port ? Number(address.port) : null,
    username: decodeURIComponent(address.username),
    authentication: xoauth2 ? 'XOAUTH2' : 'PASSWORD',
    ...(trustCertificate === undefined ? {} : { certificateFingerprint: trustCertificate }),
  }
}

async function readPassword(variable: string | undefined): Promise<string> {
  if (variable !== undefined) {
    const value = process.env[variable]
    if (!value) throw new ApiFailure(`the environment variable ${variable} is not set`, EXIT.USAGE)
    return value
  }
  if (!process.stdin.isTTY) return (await text(process.stdin)).replace(/\r?\n$/, '')
  process.stderr.write('Password: ')
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const prompt = createInterface({ input: process.stdin, output: silent, terminal: true })
  return new Promise((resolve) => {
    prompt.once('line', (password) => {
      process.stderr.write('\n')
      prompt.close()
      resolve(password)
    })
  })
}

async function followSync(client: ApiClient, id: string, json: boolean): Promise<void> {
  const bar = new cliProgress.SingleBar({
    format: '{bar} {value} of {total} messages, {rate}/s {mailbox}',
    hideCursor: true,
    noTTYOutput: false,
    clearOnComplete: false,
  })
  if (!json) {
    process.stderr.write('Ctrl-C ends this command only: the service goes on with the sync.\n')
    bar.start(0, 0, { rate: 0, mailbox: '' })
  }
  for (;;) {
    const { account } = await client.ask<{ account: Progress }>(PROGRESS, { id })
    const { progress, connection, messagesPerSecond: rate, reading } = account
    if (json)
      process.stdout.write(
        JSON.stringify({ ...progress, rate, mailbox: reading?.path ?? null, state: connection.state }) + '\n',
      )
    else {
      bar.setTotal(progress.total)
      bar.update(progress.done, { rate, mailbox: reading?.path ?? '' })
    }
    if (progress.isComplete || connection.state === 'LOGIN_REFUSED') break
    await sleep(250)
  }
  if (!json) bar.stop()
}
