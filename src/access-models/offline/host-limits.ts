/** What one process may do to a mail server's host: connections at a time, and logins in a minute. */
export type HostBounds = { connections: number; loginsPerMinute: number }

/** A place for one connection: to be given back; or the milliseconds after which to ask again. */
export type HostSlot = { release: () => void } | { wait: number }

const MINUTE = 60_000
/** Milliseconds after which to look again for a place, spread so that not all look at once. */
const LOOK_AGAIN = 2_000

/** Keeps many accounts on one provider from getting it to ban them all. */
export class HostLimits {
  private readonly hosts = new Map<string, { open: number; logins: number[] }>()

  constructor(private readonly bounds: HostBounds) {}

  /** Takes a place at a host. @param now milliseconds */
  take(host: string, now: number): HostSlot {
    const known = this.hosts.get(host) ?? { open: 0, logins: [] }
    this.hosts.set(host, known)
    known.logins = known.logins.filter((at) => at > now - MINUTE)
    if (known.open >= this.bounds.connections) return { wait: LOOK_AGAIN * (1 + Math.random()) }
    const [oldest] = known.logins
    if (oldest !== undefined && known.logins.length >= this.bounds.loginsPerMinute)
      return { wait: oldest + MINUTE - now + LOOK_AGAIN * Math.random() }
    known.open++
    known.logins.push(now)
    let taken = true
    const release = () => {
      if (taken) known.open--
      taken = false
    }
    return { release }
  }
}
