/* Certificates that no authority vouches for: trusted by a PEM file, or one by its fingerprint; what is not trusted learns no password. */
import { Dovecot } from './support/dovecot.ts'
import { PASSWORD } from './support/imap-server.ts'
import { ScriptedImap } from './support/scripted-imap.ts'
import { SelfSignedFront } from './support/self-signed.ts'
import { mailfold, Service, until } from './support/service.ts'

let dovecot: Dovecot
/** trusts the usual authorities only */
let service: Service
const fronts: SelfSignedFront[] = []

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_TLS_CA: '' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
  for (const front of fronts) await front.stop()
})

async function front(innerPort: number, host?: string): Promise<SelfSignedFront> {
  const started = await SelfSignedFront.start(innerPort, host)
  fronts.push(started)
  return started
}

const CONNECT = `mutation ($input: ConnectAccountInput!) { connectAccount(input: $input) {
  account { id server { certificateFingerprint } }
  errors { __typename ... on UserError { message } ... on TlsNotTrusted { certificateFingerprint } ... on InvalidSettings { field } }
} }`

type Problem = { __typename: string; message: string; certificateFingerprint?: string | null; field?: string }
type Connected = {
  account: { id: string; server: { certificateFingerprint: string | null } } | null
  errors: Problem[]
}

async function connect(input: object, of = service): Promise<Connected> {
  const whole = { model: 'DISCONNECTED', host: 'localhost', password: PASSWORD, ...input }
  return (await of.ask<{ connectAccount: Connected }>(CONNECT, { input: whole })).connectAccount
}

/** Four ways to a server whose certificate no authority vouches for. */
async function untrusted(): Promise<{ way: object; fingerprint: () => string | null }[]> {
  const [imap, pop3] = [await front(dovecot.imapPort), await front(dovecot.pop3Port)]
  const maildrop = { protocol: 'POP3', model: 'OFFLINE' }
  return [
    { way: { port: imap.port }, fingerprint: () => imap.fingerprint },
    { way: { port: pop3.port, ...maildrop }, fingerprint: () => pop3.fingerprint },
    { way: { port: dovecot.imapPort, security: 'STARTTLS' }, fingerprint: () => null },
    { way: { port: dovecot.pop3Port, security: 'STARTTLS', ...maildrop }, fingerprint: () => null },
  ]
}

const OTHER = Array(32).fill('AB').join(':')

test('operator 1: a self-signed certificate is told with what to do here, and works once that is done, for the service and for check', async () => {
  const imap = await front(dovecot.imapPort)
  const own = await Service.start({ MAILFOLD_TLS_CA: '' })
  try {
    const server = { port: imap.port, username: 'selma' }
    for (const input of [server, { ...server, protocol: 'POP3', model: 'OFFLINE' }]) {
      const { errors } = await connect(input, own)
      expect(errors).toMatchObject([
        { __typename: 'TlsNotTrusted', message: expect.stringMatching(/self-signed.*MAILFOLD_TLS_CA/) as string },
      ])
      expect(errors[0]?.message).not.toMatch(/node/i)
    }
    await own.end('SIGTERM')
    await own.launch(undefined, { MAILFOLD_TLS_CA: imap.file })
    const connected = await connect(server, own)
    await own.synced(connected.account?.id ?? '')
    // the environment of the service is not that of a command beside it
    const beside = { NODE_OPTIONS: '', MAILFOLD_DATA: own.folder, MAILFOLD_TLS_CA: '' }
    expect(await mailfold(['check'], beside)).toMatchObject({ code: 0 })
  } finally {
    await own.stop()
  }
})

test('operator 1, servers: each way of TLS tells the fingerprint of the certificate it does not trust, and trusts it once that is given', async () => {
  const ways = await untrusted()
  for (const [index, { way, fingerprint }] of ways.entries()) {
    const input = { ...way, username: `fiona${index}` }
    const { errors } = await connect(input)
    expect(errors).toMatchObject([{ __typename: 'TlsNotTrusted' }])
    const told = errors[0]?.certificateFingerprint ?? ''
    expect(told).toMatch(/^([\dA-F]{2}:){31}[\dA-F]{2}$/)
    expect(told).toBe(fingerprint() ?? told)
    // as openssl and others write it
    const written = index % 2 ? told : told.replaceAll(':', '').toLowerCase()
    const { account, errors: after } = await connect({ ...input, certificateFingerprint: written })
    expect(after).toEqual([])
    expect(account?.server.certificateFingerprint).toBe(told)
    await service.synced(account?.id ?? '')
  }
  const beside = { NODE_OPTIONS: '', MAILFOLD_DATA: service.folder, MAILFOLD_TLS_CA: '' }
  expect(await mailfold(['check'], beside)).toMatchObject({ code: 0 })
})

test('servers: a certificate that is not the trusted one is refused before the password is sent, whoever signed it', async () => {
  const fallen = [await front(dovecot.imapPort), await front(dovecot.pop3Port)]
  const [imap, pop3] = fallen as [SelfSignedFront, SelfSignedFront]
  const trusting = { username: 'wanda', certificateFingerprint: OTHER }
  const maildrop = { protocol: 'POP3', model: 'OFFLINE' }
  for (const [way, shown] of [
    [{ port: imap.port }, imap.fingerprint],
    [{ port: pop3.port, ...maildrop }, pop3.fingerprint],
    [{ port: dovecot.imapPort, security: 'STARTTLS' }, null],
    [{ port: dovecot.pop3Port, security: 'STARTTLS', ...maildrop }, null],
  ] as const) {
    const { account, errors } = await connect({ ...way, ...trusting })
    expect(account).toBeNull()
    expect(errors).toMatchObject([{ __typename: 'TlsNotTrusted' }])
    if (shown !== null) expect(errors[0]?.certificateFingerprint).toBe(shown)
    expect(errors[0]?.message).toContain(errors[0]?.certificateFingerprint)
  }
  // looking at the certificate of a server that is not trusted shows no password either
  for (const way of [{ port: imap.port }, { port: pop3.port, ...maildrop }])
    expect((await connect({ ...way, username: 'wanda' })).errors).toMatchObject([{ __typename: 'TlsNotTrusted' }])
  for (const { heard } of fallen) {
    expect(heard).not.toMatch(/LOGIN|AUTH|USER|PASS|wanda/i)
    expect(heard).not.toContain(PASSWORD)
  }
  // an authority's certificate is no better
  const vouched = await Service.start({ MAILFOLD_TLS_CA: dovecot.authorityFile })
  try {
    expect((await connect({ port: dovecot.imapsPort, ...trusting }, vouched)).errors).toMatchObject([
      { __typename: 'TlsNotTrusted' },
    ])
  } finally {
    await vouched.stop()
  }
})

test('servers: a server that has nobody log in is not used where its certificate is another', async () => {
  const imap = await ScriptedImap.start(
    (command, say) => (
      say('* CAPABILITY IMAP4rev1'),
      command.startsWith('CAPABILITY') ? 'OK done' : 'BAD not this one'
    ),
    '* PREAUTH come in',
  )
  const before = await front(imap.port)
  const { errors } = await connect({ port: before.port, username: 'petra', certificateFingerprint: OTHER })
  imap.stop()
  expect(errors).toMatchObject([{ __typename: 'TlsNotTrusted', certificateFingerprint: before.fingerprint }])
  expect(before.heard).not.toMatch(/SELECT|STATUS|FETCH|LOGIN|AUTHENTICATE/i)
})

test('servers: a fingerprint trusts a certificate of another host; one that cannot be is refused with the field', async () => {
  const elsewhere = await front(dovecot.imapPort, 'somewhere.invalid')
  const input = { port: elsewhere.port, username: 'helga' }
  const { account } = await connect({ ...input, certificateFingerprint: elsewhere.fingerprint })
  await service.synced(account?.id ?? '')
  for (const certificateFingerprint of ['', 'AB', `${OTHER}:AB`, OTHER.replace('AB', 'XY')])
    expect((await connect({ ...input, username: 'nora', certificateFingerprint })).errors).toMatchObject([
      { __typename: 'InvalidSettings', field: 'certificateFingerprint' },
    ])
  const plain = { port: dovecot.imapPort, security: 'PLAINTEXT', username: 'nora', certificateFingerprint: OTHER }
  expect((await connect(plain)).errors).toMatchObject([{ __typename: 'InvalidSettings' }])
})

test('servers: a renewed certificate is told with its fingerprint, and trusted with the credentials; the past keeps what was trusted', async () => {
  const imap = await front(dovecot.imapPort)
  const first = imap.fingerprint
  const { account } = await connect({ port: imap.port, username: 'renata', certificateFingerprint: first })
  const id = account?.id ?? ''
  await service.synced(id)
  type State = {
    connection: { state: string; reason: string | null; remedy: string | null }
    server: { certificateFingerprint: string | null }
    version: string
  }
  const state = async (asOf: object | null = null) =>
    (
      await service.ask<{ account: State }>(
        `query ($id: ID!, $asOf: AsOf) { account(id: $id, asOf: $asOf) {
          version connection { state reason remedy } server { certificateFingerprint } } }`,
        { id, asOf },
      )
    ).account
  const { version } = await state()
  await imap.renew()
  await until(async () => (await state()).connection.reason?.includes(imap.fingerprint) === true)
  expect((await state()).connection).toMatchObject({ state: 'DISCONNECTED', remedy: 'CHANGE_SETTINGS' })
  const change = async (input: object) =>
    (
      await service.ask<{ changeCredentials: { errors: Problem[] } }>(
        `mutation ($input: ChangeCredentialsInput!) { changeCredentials(input: $input) {
          errors { __typename ... on UserError { message } ... on TlsNotTrusted { certificateFingerprint } } } }`,
        { input: { accountId: id, password: PASSWORD, ...input } },
      )
    ).changeCredentials.errors
  expect(await change({})).toMatchObject([{ __typename: 'TlsNotTrusted', certificateFingerprint: imap.fingerprint }])
  expect(await change({ certificateFingerprint: null })).toMatchObject([{ __typename: 'TlsNotTrusted' }])
  expect(await change({ certificateFingerprint: imap.fingerprint })).toEqual([])
  await until(async () => (await state()).connection.state === 'CONNECTED')
  expect((await state()).server.certificateFingerprint).toBe(imap.fingerprint)
  expect((await state({ version })).server.certificateFingerprint).toBe(first)
})

test('operator 1: the command line says how to trust a certificate, and does', async () => {
  const imap = await front(dovecot.imapPort)
  const run = (...more: string[]) =>
    mailfold(
      ['connect', `imaps://clio@localhost:${imap.port}`, '--model', 'disconnected', ...more],
      service.clientEnvironment,
      PASSWORD,
    )
  const refused = await run()
  expect(refused.code).toBe(69)
  expect(refused.stderr).toContain(`--trust-certificate ${imap.fingerprint}`)
  expect(await run('--trust-certificate', imap.fingerprint, '--json')).toMatchObject({ code: 0 })
})
