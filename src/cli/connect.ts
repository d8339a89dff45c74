import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { Writable } from 'node:stream'
import { EXIT, type ExitCode } from '../platform/exit-codes.js'
import { ApiClient, ApiFailure } from './api-client.js'
import { progressBar } from './progress-bar.js'

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
    connection { state reason remedy } progress { done total isComplete } messagesPerSecond reading { path }
  }
}`

type Progress = {
  connection: { state: string; reason: string | null; remedy: string | null }
  progress: { done: number; total: number; isComplete: boolean }
  messagesPerSecond: number
  reading: { path: string } | null
}

/** Exit codes of what an account is not connected for; others may be worth another try. */
const REFUSALS: Record<string, ExitCode> = {
  LoginRefused: EXIT.NOT_PERMITTED,
  HostNotAllowed: EXIT.NOT_PERMITTED,
  PlaintextNotAllowed: EXIT.NOT_PERMITTED,
  InvalidSettings: EXIT.USAGE,
  ModelNotPossible: EXIT.USAGE,
  AlreadyConnected: EXIT.CANNOT_CREATE,
}

/** Connects an account and follows its first sync. @returns the exit code */
export async function connect(url: string, options: ConnectOptions): Promise<number> {
  const address = readAddress(url, options)
  // nobody types a password for a service that is not there
  const client = await ApiClient.find(process.env)
  await client.reach()
  const input = { ...address, password: await readPassword(options.passwordEnv) }
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
    return REFUSALS[errors[0]?.__typename ?? ''] ?? EXIT.UNAVAILABLE
  }
  process.stdout.write(
    options.json ? JSON.stringify({ account: account.id }) + '\n' : `Connected: account ${account.id}\n`,
  )
  return options.wait ? followSync(client, account.id, options.json === true) : 0
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
  if (!['', '/'].includes(address.pathname) || address.search || address.hash)
    throw new ApiFailure('nothing may follow the host and port in the address', EXIT.USAGE)
  if (!['OFFLINE', 'ONLINE', 'DISCONNECTED'].includes(model.toUpperCase()))
    throw new ApiFailure('--model must be offline, online or disconnected', EXIT.USAGE)
  return {
    model: model.toUpperCase(),
    protocol: scheme.protocol,
    security: plaintext ? 'PLAINTEXT' : scheme.security,
    host: address.hostname.replace(/^\[|\]$/g, ''),
    port: address.port ? Number(address.port) : null,
    username: decoded(address.username),
    authentication: xoauth2 ? 'XOAUTH2' : 'PASSWORD',
    ...(trustCertificate === undefined ? {} : { certificateFingerprint: trustCertificate }),
  }
}

function decoded(username: string): string {
  try {
    return decodeURIComponent(username)
  } catch {
    throw new ApiFailure('a user name with a % in it is written with %25', EXIT.USAGE)
  }
}

async function readPassword(variable: string | undefined): Promise<string> {
  if (variable !== undefined) {
    const value = process.env[variable]
    if (!value) throw new ApiFailure(`the environment variable ${variable} is not set`, EXIT.USAGE)
    return value
  }
  const given = process.stdin.isTTY ? await askForPassword() : (await text(process.stdin)).replace(/\r?\n$/, '')
  if (given === '') throw new ApiFailure('no password was given', EXIT.USAGE)
  return given
}

/** Asks for the password on the terminal, which does not show it. @returns it; empty where Ctrl-D was typed */
async function askForPassword(): Promise<string> {
  process.stderr.write('Password: ')
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const prompt = createInterface({ input: process.stdin, output: silent, terminal: true })
  // readline takes Ctrl-C for itself here: the process gets no signal unless it sends one
  prompt.once('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  const given = await new Promise<string>((resolve) => {
    prompt.once('line', resolve).once('close', () => resolve(''))
  })
  process.stderr.write('\n')
  prompt.close()
  return given
}

/** Shows how far the first sync is, and what keeps it from going on. @returns the exit code */
async function followSync(client: ApiClient, id: string, json: boolean): Promise<number> {
  const bar = progressBar('{bar} {value} of {total} messages, {rate}/s {mailbox}')
  if (!json) {
    process.stderr.write('Ctrl-C ends this command only: the service goes on with the sync.\n')
    bar.start(0, 0, { rate: 0, mailbox: '' })
  }
  for (let told: string | null = null; ;) {
    const { account } = await client.ask<{ account: Progress | null }>(PROGRESS, { id })
    if (!account) throw new ApiFailure('the account was forgotten meanwhile', EXIT.NO_INPUT)
    const { progress, connection, messagesPerSecond: rate, reading } = account
    if (json)
      process.stdout.write(JSON.stringify({ ...progress, rate, mailbox: reading?.path ?? null, ...connection }) + '\n')
    else {
      bar.setTotal(progress.total)
      bar.update(progress.done, { rate, mailbox: reading?.path ?? '' })
    }
    const isRefused = connection.state === 'LOGIN_REFUSED'
    if (progress.isComplete || isRefused) bar.stop()
    const failure = connection.remedy && `${connection.state}: ${connection.reason} (${connection.remedy})`
    if (failure && failure !== told && !json) {
      bar.stop()
      process.stderr.write(`mailfold: ${failure}\n`)
      if (!isRefused) bar.start(progress.total, progress.done, { rate, mailbox: '' })
    }
    told = failure
    if (progress.isComplete) return 0
    if (isRefused) return EXIT.NOT_PERMITTED
    await sleep(250)
  }
}
