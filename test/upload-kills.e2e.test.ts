import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { OperationKind } from '../src/mailbox/operation.js'
import { Dovecot } from './support/dovecot.ts'
import { COMMANDS, OperationCase } from './support/operation-case.ts'
import { Service, until } from './support/service.ts'

const KINDS = Object.keys(COMMANDS) as OperationKind[]

/** Where an upload is when the plug is pulled: the server has not been told, or has done it and its answer is on the way. */
const PLACES = ['hold', 'hold answer'] as const

let dovecot: Dovecot
let service: Service

beforeAll(async () => {
  dovecot = await Dovecot.start()
  service = await Service.start({ MAILFOLD_CHECK_INTERVAL: '1000', MAILFOLD_ANSWER_TIMEOUT: '60000' })
})

afterAll(async () => {
  await service?.stop()
  await dovecot?.stop()
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

/** Accounts of which the uploads of every kind are held, each at every place. */
async function held(places: readonly (typeof PLACES)[number][]) {
  const wanted = KINDS.flatMap((kind) => places.map((place) => ({ kind, place })))
  return Promise.all(
    wanted.map(async ({ kind, place }) => {
      const each = await OperationCase.begin(service, dovecot)
      await each.mine.goOffline()
      const id = await each.ask(kind)
      each.mine.wire.answering = (command) => (COMMANDS[kind].test(command) ? place : null)
      each.mine.wire.struck = false
      await each.mine.goOnline()
      await until(() => each.mine.wire.struck)
      return { kind, place, id, each }
    }),
  )
}

const PLUGS: [string, (cut: () => void) => Promise<void>][] = [
  ['the connection', async (cut) => cut()],
  [
    'the service',
    async (cut) => {
      await service.end('SIGKILL')
      cut()
      await service.launch()
    },
  ],
  [
    'Postgres',
    async (cut) => {
      const [pid] = (await readFile(join(service.folder, 'postgres/postmaster.pid'), 'utf8')).split('\n')
      process.kill(-Number(pid), 'SIGKILL')
      await service.ended()
      cut()
      await service.launch()
    },
  ],
  [
    'Dovecot',
    async (cut) => {
      await dovecot.kill()
      cut()
      await dovecot.restart()
    },
  ],
]

test.each(PLUGS)(
  'when %s goes at any step of an upload of any kind, each operation is carried out exactly once',
  async (what, pull) => {
    // at every place for the connection; the others go where it matters most: between what was done and what is known of it
    const all = await held(what === 'the connection' ? PLACES : ['hold answer'])
    await pull(() => {
      for (const { each } of all) {
        each.mine.wire.answering = () => null
        each.mine.wire.cut()
      }
    })
    for (const { kind, place, id, each } of all) {
      const which = `${kind} at ${place}`
      if (each.mine.other.usable) each.mine.other.close()
      await each.reconnect()
      await each.mine.syncNow()
      await each.mine.settled(60_000)
      const { state, appliedCount } = await each.mine.operation(id)
      expect([which, state]).toEqual([which, 'APPLIED'])
      expect(appliedCount).toBe(kind.includes('MAILBOX') || kind === 'SUBSCRIBE' ? 0 : 1)
      let sides = await each.sides()
      await until(async () => {
        sides = await each.sides()
        return JSON.stringify(sides.shown) === JSON.stringify(sides.there)
      }, 10_000).catch(() => expect([which, sides.shown]).toEqual([which, sides.there]))
      const { there, gone } = DONE[kind]
      for (const line of there) expect([which, sides.there.filter((one) => one === line)]).toEqual([which, [line]])
      for (const line of gone) expect([which, sides.there]).not.toEqual([which, expect.arrayContaining([line])])
      await each.mine.end()
    }
  },
  200_000,
)
