import { messagesOf, ofMessages, type UploadStep } from './upload-plan.js'

/** How often the server may refuse a step for a reason that may be over the next time. */
const MOST_REFUSALS = 3

/**
 * What the server has answered to the steps of an upload, for each message or mailbox by itself. What it said OK to is not told again: where the same is to be
 * told although the mailbox was looked at since, the server has not done what it said. Only what it refused is counted.
 */
export class UploadAnswers {
  private readonly done = new Set<string>()
  private readonly refusals = new Map<string, number>()

  /** Takes notice of a plan: what it does not tell has come about, or is no longer wanted, and may be asked for anew. */
  planned(steps: readonly UploadStep[]): void {
    const keys = new Set(steps.flatMap((step) => subjectsOf(step).flatMap((subject) => keysOf(step, subject))))
    for (const key of this.done) if (!keys.has(key)) this.done.delete(key)
    for (const key of this.refusals.keys()) if (!keys.has(key)) this.refusals.delete(key)
  }

  /** Takes notice that the server said OK to a step. */
  said(step: UploadStep): void {
    for (const subject of subjectsOf(step)) for (const key of keysOf(step, subject)) this.done.add(key)
  }

  /** Parts a step: what the server is to be told, and what it said OK to before; null for nothing of it. */
  part(step: UploadStep): { untold: UploadStep | null; told: UploadStep | null } {
    return this.split(step, (key) => this.done.has(key))
  }

  /** Takes notice that the server refused a step. @returns that of it which it has refused as often as may be; null for nothing of it */
  refused(step: UploadStep): UploadStep | null {
    for (const subject of subjectsOf(step))
      for (const key of keysOf(step, subject)) this.refusals.set(key, (this.refusals.get(key) ?? 0) + 1)
    return this.split(step, (key) => (this.refusals.get(key) ?? 0) >= MOST_REFUSALS).told
  }

  /** Forgets everything: nothing waits. */
  clear(): void {
    this.done.clear()
    this.refusals.clear()
  }

  private split(step: UploadStep, isIn: (key: string) => boolean) {
    const told = new Set(subjectsOf(step).filter((subject) => keysOf(step, subject).every(isIn)))
    return {
      untold: ofMessages(step, (subject) => !told.has(subject)),
      told: ofMessages(step, (subject) => told.has(subject)),
    }
  }
}

/** The messages, or the mailbox, that a step is about. */
function subjectsOf(step: UploadStep): string[] {
  const ids = messagesOf(step)
  return ids.length > 0 || !('mailboxId' in step) ? ids : [step.mailboxId]
}

/** What a step asks of one message or mailbox: of flags, each by itself. */
function keysOf(step: UploadStep, subject: string): string[] {
  const key = (what: string) => `${step.kind} ${what.toLowerCase()} ${subject}`
  switch (step.kind) {
    case 'store':
      return [...step.add.map((flag) => key(`+${flag}`)), ...step.remove.map((flag) => key(`-${flag}`))]
    case 'append':
      return [key(step.mailboxId)]
    case 'copy':
    case 'move':
    case 'rename':
      return [key(step.to)]
    case 'create':
      return [key(step.path)]
    case 'subscribe':
      return [key(`${step.path} ${step.subscribed}`)]
    case 'expunge':
    case 'delete':
      return [key('')]
  }
}
