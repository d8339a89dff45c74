import fc from 'fast-check'
import { changeFlags, hasFlag, normaliseFlags, type Flags } from './flags.js'
import type { TrackedMessage } from './tracked-message.js'
import { UploadAnswers } from './upload-answers.js'
import { messagesOf, planUpload, type TrackedMailbox, type UploadStep } from './upload-plan.js'
import { changedBeforeExpunge } from './upload-results.js'

const mailboxNamed = (mailboxId: string): TrackedMailbox => ({
  mailboxId,
  path: mailboxId,
  serverPath: mailboxId,
  delimiter: '/',
  attributes: [],
  specialUse: null,
  subscribed: true,
  serverSubscribed: true,
  selectable: true,
  objectId: null,
  isHidden: false,
  uidValidity: '3',
  highestModseq: null,
  messages: 0,
  operations: [],
})

/** A message that is shown in a mailbox with flags, and that the server has in one with others. */
function tracked(uid: number, shown: [string, Flags], there: [string, Flags]): TrackedMessage {
  const data = { uid, flags: shown[1], modseq: null } as unknown as NonNullable<TrackedMessage['shown']>['data']
  const local = { messageId: `m${uid}`, mailboxId: shown[0], uidValidity: '3', data }
  return {
    messageId: `m${uid}`,
    identity: { fingerprint: '', internalDate: '', emailId: null },
    shown: local,
    last: local,
    server: { state: 'THERE', mailboxId: there[0], uidValidity: '3', uid, flags: there[1], modseq: null },
    isApart: true,
    content: null,
    operations: [],
  }
}

const FLAGS = ['\\Seen', '\\Flagged', '\\Answered', 'work', 'later']
const MAILBOXES = ['Home', 'Work'].map(mailboxNamed)

type Side = { isIn: string; flags: Flags }

/** Messages as they are shown and as a server has them, and how that server treats what it is told. */
class Upload {
  private readonly answers = new UploadAnswers()
  private refusals: number
  /** how often the server said OK to each change of each message */
  readonly granted = new Map<string, number>()
  /** changes that the server said OK to, and that were given up since they did not come about */
  readonly givenUp = new Set<string>()

  constructor(
    readonly messages: readonly { shown: Side; there: Side }[],
    readonly server: { keepsNot: Flags; isStuck: boolean; refusals: number },
  ) {
    this.refusals = server.refusals
  }

  /** Tells the server once what a plan says. @returns whether anything was to be told */
  round(): boolean {
    const view = this.messages.map(({ shown, there }, index) =>
      tracked(index + 10, [shown.isIn, shown.flags], [there.isIn, there.flags]),
    )
    const { steps } = planUpload({ mailboxes: MAILBOXES, messages: view, originals: new Map(), canExpunge: true })
    this.answers.planned(steps)
    for (const planned of steps) {
      const { untold, told } = this.answers.part(planned)
      if (told) for (const change of changesOf(told)) this.givenUp.add(change)
      this.refuse(told)
      if (untold && this.refusals-- > 0) this.refuse(this.answers.refused(untold))
      else if (untold) this.grant(untold)
    }
    return steps.length > 0
  }

  private grant(step: UploadStep): void {
    this.answers.said(step)
    for (const change of changesOf(step)) this.granted.set(change, (this.granted.get(change) ?? 0) + 1)
    const { keepsNot, isStuck } = this.server
    const kept = (flags: Flags) => flags.filter((flag) => !keepsNot.includes(flag))
    for (const { there } of this.of(step)) {
      if (step.kind === 'store') there.flags = changeFlags(there.flags, kept(step.add), kept(step.remove))
      else if (step.kind === 'move' && !isStuck) there.isIn = step.to
    }
  }

  /** What is refused is shown as the server has it. */
  private refuse(step: UploadStep | null): void {
    if (!step) return
    const flags = step.kind === 'store' ? [...step.add, ...step.remove] : []
    for (const { shown, there } of this.of(step)) {
      const had = there.flags.filter((flag) => hasFlag(flags, flag))
      shown.flags = changeFlags(shown.flags, had, flags)
      if (step.kind === 'move') shown.isIn = there.isIn
    }
  }

  private of(step: UploadStep) {
    return messagesOf(step).flatMap((id) => this.messages[Number(id.slice(1)) - 10] ?? [])
  }
}

/** What a step changes, message by message and flag by flag. */
function changesOf(step: UploadStep): string[] {
  const asked =
    step.kind === 'store'
      ? [...step.add.map((flag) => `+${flag}`), ...step.remove.map((flag) => `-${flag}`)]
      : [step.kind]
  return messagesOf(step).flatMap((id) => asked.map((change) => `${id} ${change}`))
}

const side = fc.record({ isIn: fc.constantFrom<string>('Home', 'Work'), flags: fc.subarray(FLAGS).map(normaliseFlags) })
const messages = fc.array(fc.record({ shown: side, there: side }), { minLength: 1, maxLength: 40 })

test('several changes of the same messages are told once each, in one round, and all come about', () => {
  fc.assert(
    fc.property(messages, (each) => {
      const upload = new Upload(each, { keepsNot: [], isStuck: false, refusals: 0 })
      upload.round()
      for (const { shown, there } of upload.messages) expect(there).toEqual(shown)
      expect(upload.round()).toBe(false)
      for (const [change, times] of upload.granted) expect(`${change} ${times}`).toBe(`${change} 1`)
      expect(upload.givenUp.size).toBe(0)
    }),
  )
})

test('what the server refuses is told three times at most, and what it said OK to is given up only where it was not done', () => {
  const server = fc.record({ keepsNot: fc.subarray(FLAGS), isStuck: fc.boolean(), refusals: fc.nat(6) })
  fc.assert(
    fc.property(messages, server, (each, treats) => {
      const upload = new Upload(each, treats)
      for (let rounds = 0; upload.round(); rounds++) expect(rounds).toBeLessThan(20)
      for (const { shown, there } of upload.messages) expect(shown).toEqual(there)
      for (const change of upload.givenUp) {
        expect(upload.granted.has(change)).toBe(true)
        const [, what = ''] = change.split(' ')
        expect(what === 'move' ? treats.isStuck : treats.keepsNot.includes(what.slice(1))).toBe(true)
      }
    }),
  )
})

test('what a message has got since it was looked at keeps it from being expunged, but for the mark before that', () => {
  const known = [
    { uid: 7, flags: ['\\Seen'] },
    { uid: 8, flags: [] },
    { uid: 9, flags: ['\\Flagged'] },
    { uid: 12, flags: ['work'] },
    { uid: 13, flags: [] },
  ]
  const reports = [
    { uid: 7, flags: ['\\Deleted', '\\Seen'] },
    { uid: 8, flags: ['\\Deleted', '\\Flagged'] },
    { uid: 9, flags: ['\\Deleted'] },
    { uid: 12, flags: ['\\Deleted', 'Work'] },
  ]
  expect(changedBeforeExpunge(known, reports)).toEqual([8, 9])
})
