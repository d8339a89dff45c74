import fc from 'fast-check'
import { hasFlag } from '../src/mailbox/flags.js'
import { hasNoUid } from '../src/mailbox/server-place.js'
import { MAILBOXES } from './support/model-server.ts'
import { World, type Fate } from './support/world.ts'

/** Histories; the long form is `MAILFOLD_CASES=1000000 npm test -- test/disconnected-model`. */
const CASES = Number(process.env['MAILFOLD_CASES'] ?? 5_000)

const step = fc.tuple(fc.nat(19), fc.nat(50), fc.nat(50))
const fate = fc.constantFrom<Fate>('works', 'works', 'works', 'cut before', 'cut after', 'refused')
const abilities = fc.record({
  move: fc.boolean(),
  uidplus: fc.boolean(),
  policy: fc.constantFrom('ASK' as const, 'CLIENT_WINS' as const, 'SERVER_WINS' as const),
})

function run(world: World, steps: readonly (readonly [number, number, number])[], fates: readonly Fate[]): void {
  const left = [...fates]
  for (let first = 0; first < 4; first++) world.deliver(MAILBOXES[first % 3] ?? 'A')
  world.connect([])
  for (const [kind, one, other] of steps) {
    if (kind === 0) world.deliver(MAILBOXES[one % 3] ?? 'A')
    else if (kind <= 6) world.other(one % 20 === 0 ? 4 : one % 4, one, other)
    else if (kind <= 15) world.ask(one % 7, one, other)
    else if (kind === 16) world.glance(one)
    else world.connect(left.splice(0, 4), () => (kind === 17 ? undefined : world.ask(one % 7, one, other)))
  }
}

/** What the server has in a mailbox; but what it was told to delete and cannot expunge, so that it stays there, marked. */
function stayingIn({ server, abilities, places, shown }: World, name: string) {
  const isMarked = (uid: number) =>
    [...places].some(([id, { server: place }]) => {
      if (shown.has(id) || place.state !== 'THERE' || place.mailboxId !== name) return false
      return place.uid === uid && hasFlag(place.flags, '\\Deleted')
    })
  return server.of(name).messages.filter(({ uid }) => abilities.uidplus || !isMarked(uid))
}

/** What is shown, and what the server has, in one form. */
function sides(world: World) {
  const shown = [...world.shown.values()].map(
    ({ mailboxId, data }) => `${mailboxId} ${data.uid} ${data.fingerprint} ${data.flags.join()}`,
  )
  const there = MAILBOXES.flatMap((name) =>
    stayingIn(world, name).map(({ uid, content, flags }) => `${name} ${uid} c${content} ${flags.join()}`),
  )
  return { shown: shown.sort(), there: there.sort() }
}

const WITHOUT_MOVE = { move: false, uidplus: true, policy: 'ASK' } as const

/** Histories that went wrong once, each found among some hundred thousands. */
const FOUND: [[number, number, number][], Fate[], World['abilities']][] = [
  // a mailbox is numbered anew before what is left over in it is known to be left over
  [
    ['17 0 0', '7 37 0', '7 30 0', '17 0 0', '1 40 0'].map(numbersOf),
    ['works', 'works', 'works', 'works', 'works', 'cut after'],
    { ...WITHOUT_MOVE, uidplus: false },
  ],
  // what was left over has gone, its mailbox is numbered anew, and the message itself is moved there by others
  [
    ['1 38 0', '7 30 10', '7 44 4', '17 0 0', '0 12 0', '1 0 0', '1 1 0'].map(numbersOf),
    ['works', 'works', 'cut after'],
    WITHOUT_MOVE,
  ],
  [
    ['7 9 0', '0 0 0', '17 0 0', '1 21 46', '1 46 0', '1 2 0', '1 13 8', '1 20 0'].map(numbersOf),
    ['works', 'cut after'],
    WITHOUT_MOVE,
  ],
  // asked for between two steps, and shown again as the server has it before the second is taken
  [['7 14 0', '7 44 1', '18 2 0'].map(numbersOf), [], { ...WITHOUT_MOVE, uidplus: false }],
  // what is left over is marked as deleted, and both mailboxes are numbered anew
  [['7 2 25', '7 4 0', '17 0 0', '1 40 0', '1 0 0'].map(numbersOf), [], { ...WITHOUT_MOVE, uidplus: false }],
]

function numbersOf(text: string): [number, number, number] {
  return text.split(' ').map(Number) as [number, number, number]
}

/** An assertion: a million histories have many, and `expect` takes longer than the histories. */
function holds(isSo: boolean, otherwise: string): void {
  if (!isSo) throw new Error(otherwise)
}

test('whatever client, others and connection do: in the end all agree, nothing is lost or doubled, and each operation has one outcome', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 30, size: 'max' }),
      fc.array(fate, { maxLength: 20, size: 'max' }),
      abilities,
      (steps, fates, able) => {
        const world = new World(able)
        run(world, steps, fates)
        world.connect([])
        world.connect([])

        // what was refused and made here stays here, and so does what others took away before its UID was known
        const kept = new Set([...world.places].flatMap(([id, { server }]) => (hasNoUid(server) ? [id] : [])))
        for (const id of kept) world.shown.delete(id)
        const { shown, there } = sides(world)
        if (shown.join('\n') !== there.join('\n')) expect(shown).toEqual(there)
        for (const [id, { server }] of world.places) {
          if (kept.has(id)) continue
          const isMarked = server.state === 'THERE' && hasFlag(server.flags, '\\Deleted')
          holds(!able.uidplus && !world.shown.has(id) && isMarked, `${id} is apart without reason`)
        }

        for (const [id, { state, outcomes, ends }] of world.operations) {
          holds(outcomes.length === 1 && outcomes[0] === state, `${id} has come to ${outcomes.join()}`)
          for (const end of ends.values()) holds(end.length === 1, `of ${id}, a message has come to ${end.length} ends`)
        }

        const { births, expungedByOthers, movedByOthers } = world.server
        const here = new Map<number, number>()
        for (const name of MAILBOXES)
          for (const { content } of stayingIn(world, name)) here.set(content, (here.get(content) ?? 0) + 1)
        const deleted = world.contentsAskedToGo()
        for (const born of expungedByOthers) deleted.add(births[born]?.content ?? -1)
        const delivered = new Set(births.map(({ content }) => content))
        for (const content of delivered)
          if (!deleted.has(content)) holds((here.get(content) ?? 0) > 0, `${content} is lost`)

        // contents of which nobody makes copies are there once: what others do with two that are alike cannot be told apart
        const copied = new Set(births.flatMap(({ content, by }) => (by.startsWith('copied') ? [content] : [])))
        for (const content of world.contentsAskedToCopy()) copied.add(content)
        const twice = world.refusedExpunges + (able.move ? 0 : movedByOthers.size)
        // where two mailboxes were numbered anew, what is left over in one may be what was in the other, and is not deleted
        const inDoubt = world.renumberings > 1 ? world.renumberings : 0
        // an upload that others take away before it was seen is made again
        const unseen = movedByOthers.size + expungedByOthers.size
        for (const content of delivered) {
          if (copied.has(content)) continue
          holds((here.get(content) ?? 0) <= 1 + twice + unseen + inDoubt, `${content} is there twice`)
          const times = births.filter((birth) => birth.content === content).length
          holds(times <= 1 + unseen, `${content} was put there ${times} times`)
        }
      },
    ),
    { numRuns: CASES, examples: FOUND },
  )
}, 3_600_000)
