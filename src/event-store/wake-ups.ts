import { LARGEST, type Broadcast } from '../platform/broadcast.js'

/** What one process tells the others: streams that have grown, with their versions, and what was forgotten. */
export type WakeUp = { kind: 'advanced'; accountId: string; version: number } | { kind: 'forgotten'; accountId: string }

/** Milliseconds for which wake-ups are gathered into one message. */
const GATHER = 2

/**
 * Wake-ups between the processes of an installation. One that is lost costs a moment and no event: whoever follows a stream looks at it now
 * and then.
 */
export class WakeUps {
  private readonly grown = new Map<string, number>()
  private readonly forgotten = new Set<string>()
  private gathering: NodeJS.Timeout | null = null
  private broadcast: Broadcast | null = null

  constructor(
    private readonly processId: string,
    private readonly heard: (wakeUp: WakeUp) => void,
  ) {}

  /** Begins to tell and to hear. @param open opens what carries the messages */
  async begin(open: (heard: (message: string) => void) => Promise<Broadcast>): Promise<void> {
    this.broadcast = await open((message) => this.hear(message))
  }

  /** Tells the other processes. */
  tell(wakeUp: WakeUp): void {
    if (!this.broadcast) return
    if (wakeUp.kind === 'forgotten') this.forgotten.add(wakeUp.accountId)
    else this.grown.set(wakeUp.accountId, wakeUp.version)
    this.gathering ??= setTimeout(() => this.send(), GATHER)
  }

  /** Ends it. */
  async close(): Promise<void> {
    if (this.gathering) this.send()
    await this.broadcast?.close()
  }

  private send(): void {
    this.gathering = null
    const lines = [...this.grown].map(([accountId, version]) => `${accountId} ${version}`)
    lines.push(...this.forgotten)
    this.grown.clear()
    this.forgotten.clear()
    const longest = LARGEST - this.processId.length
    for (let message = ''; lines.length > 0; message = '') {
      while (lines[0] !== undefined && message.length + lines[0].length < longest) message += `\n${lines.shift()}`
      this.broadcast?.send(this.processId + message)
    }
  }

  private hear(message: string): void {
    const [from, ...lines] = message.split('\n')
    if (from === this.processId) return
    for (const line of lines) {
      const [accountId = '', version] = line.split(' ')
      this.heard(
        version === undefined
          ? { kind: 'forgotten', accountId }
          : { kind: 'advanced', accountId, version: Number(version) },
      )
    }
  }
}
