import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { groupsOf } from '../src/mailbox/groups.js'
import type { OperationKind } from '../src/mailbox/operation.js'
import type { MailServer } from './support/imap-server.ts'
import { EVERYTHING, lackingOn, SERVERS } from './support/mail-servers.ts'
import { COMMANDS, OperationCase } from './support/operation-case.ts'
import { Service, until } from './support/service.ts'

const KINDS = Object.keys(COMMANDS) as OperationKind[]

/** Where an upload is when the plug is pulled: the server has not been told, or has done it and its answer is on the way. */
const PLACES: ('hold' | 'hold answer')[] = ['hold', 'hold answer']

let service: Service

beforeAll(async () => {
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '1000', MAILFOLD_ANSWER_TIMEOUT: '60000' })
})

afterAll(async () => {
  await service?.stop()
})

/** What the server has to have in the end, whatever was pulled, and whenever. */
const DONE: { readonly [Kind in OperationKind]: { there: string[]; gone: string[] } } = {
  CHANGE_FLAGS: { there: ['Home: m work'], gone: [] },
  MOVE: { there: ['Work: m '], gone: ['Home: m '] },
  DELETE: { there: [], gone: ['Home: m '] },
  COPY: { there: ['Work: m ', 'Home: m '], gone: [] },
  APPEND: { there: ['Work: new '], gone: [] },
  CREATE_MAILBOX: { there: ['New true'], gone: [] },
  RENAME_MAILBOX: { there: ['House: m '], gone: ['Home: m '] },
  DELETE_MAILBOX: { there: [], gone: ['Empty false'] },
  SUBSCRIBE: { there: ['Empty true'], gone: ['Empty false'] },
}

/** Uploads that are held at once: each keeps a worker of the service. */
const AT_ONCE = 18

type Case = { kind: OperationKind; place: (typeof PLACES)[number]; hidden: readonly string[] }

/**
 * Uploads of every kind, each to be held at every place: over a Dovecot that offers everything, and over a Cyrus that lacks one
 * thing after the other; or each over each (`MAILFOLD_CASES=all npm test -- test/upload-kills`).
 */
function casesOf(server: string, places: Case['place'][]): Case[] {
  const all = KINDS.flatMap((kind) => places.map((place) => ({ kind, place })))
  return all.flatMap((each, index) => lackingOn(server, index).map((hidden) => ({ ...each, hidden })))
}

/** Accounts with an upload that is held. */
function held(server: MailServer, cases: readonly Case[]) {
  return Promise.all(
    cases.map(async ({ kind, place, hidden }) => {
      const each = await OperationCase.begin(service, server, hidden)
      await each.mine.goOffline()
      const id = await each.ask(kind)
      each.mine.wire.answering = (command) => (each.command(kind).test(command) ? place : null)
      each.mine.wire.struck = false
      await each.mine.goOnline()
      await until(() => each.mine.wire.struck)
      return { kind, place, id, each }
    }),
  )
}

type Held = Awaited<ReturnType<typeof held>>[number]

/** It was carried out, once, and both sides agree. */
async function isDoneOnce({ kind, place, id, each }: Held): Promise<void> {
  const which = `${kind} at ${place}, without ${each.hidden.join() || 'nothing'}`
  if (each.mine.other.usable) each.mine.other.close()
  await each.reconnect()
  await each.mine.syncNow()
  await each.mine.settled()
  const { state, appliedCount } = await each.mine.operation(id)
  expect([which, state]).toEqual([which, 'APPLIED'])
  expect(appliedCount).toBe(kind.includes('MAILBOX') || kind === 'SUBSCRIBE' ? 0 : 1)
  let sides = await each.sides()
  await until(async () => {
    sides = await each.sides()
    return JSON.stringify(sides.shown) === JSON.stringify(sides.there)
  }).catch(() => expect([which, sides.shown]).toEqual([which, sides.there]))
  const { there, gone } = DONE[kind]
  for (const line of there) expect([which, sides.there.filter((one) => one === line)]).toEqual([which, [line]])
  for (const line of gone) expect([which, sides.there]).not.toEqual([which, expect.arrayContaining([line])])
  await each.mine.end()
}

type Plug = { what: string; isOfServer: boolean; pull: (server: MailServer, cut: () => void) => Promise<void> }

const PLUGS: Plug[] = [
  { what: 'the connection', isOfServer: true, pull: async (_, cut) => cut() },
  {
    what: 'the service',
    isOfServer: false,
    pull: async (_, cut) => {
      await service.end('SIGKILL')
      cut()
      await service.launch()
    },
  },
  {
    what: 'Postgres',
    isOfServer: false,
    pull: async (_, cut) => {
      const [pid] = (await readFile(join(service.folder, 'postgres/postmaster.pid'), 'utf8')).split('\n')
      process.kill(-Number(pid), 'SIGKILL')
      await service.ended()
      cut()
      await service.launch()
    },
  },
  {
    what: 'the mail server',
    isOfServer: true,
    pull: async (server, cut) => {
      await server.kill()
      cut()
      await server.restart()
    },
  },
]

describe.each(SERVERS)('on $name', ({ name, start }) => {
  let server: MailServer
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server?.stop())

  // what becomes of the service is no matter of the server's make
  test.each(PLUGS.filter(({ isOfServer }) => isOfServer || name === 'Dovecot' || EVERYTHING))(
    'when $what goes at any step of an upload of any kind, each operation is carried out exactly once',
    async ({ what, pull }) => {
      // at every place for the connection; the others go where it matters most: between what was done and what is known of it
      for (const cases of groupsOf(casesOf(name, what === 'the connection' ? PLACES : ['hold answer']), AT_ONCE)) {
        const all = await held(server, cases)
        await pull(server, () => {
          for (const { each } of all) {
            each.mine.wire.answering = () => null
            each.mine.wire.cut()
          }
        })
        await Promise.all(all.map(isDoneOnce))
      }
    },
    200_000,
  )
})
