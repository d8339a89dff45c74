/** What one process may do to a mail server's host: collections at a time, and logins in a minute. */
export type HostBounds = { connections: number; loginsPerMinute: number }

/** A place for one connection: to be given back; or the milliseconds after which to ask again. */
export type HostSlot = { release: () => void } | { wait: number }

const MINUTE = 60_000
/** Milliseconds after which to look again for a place, spread so that not all look at once. */
const LOOK_AGAIN = 2_000

/** Milliseconds for which a host that had enough is given half as many connections, and half of that if it has enough again. */
const HALVED = 10 * MINUTE

type Host = { open: number; logins: number[]; refusals: number[] }

/** Keeps many accounts on one provider from getting it to ban them all. */
export class HostLimits {
  private readonly hosts = new Map<string, Host>()

  constructor(private readonly bounds: HostBounds) {}

  /** Takes a place at a host. @param now milliseconds */
  take(host: string, now: number): HostSlot {
    const known = this.of(host, now)
    const most = Math.max(1, Math.floor(this.bounds.connections / 2 ** known.refusals.length))
    if (known.open >= most) return { wait: LOOK_AGAIN * (1 + Math.random()) }
    const wait = this.untilLogin(known, now)
    if (wait > 0) return { wait }
    known.open++
    known.logins.push(now)
    let taken = true
    const release = () => {
      if (taken) known.open--
      taken = false
    }
    return { release }
  }

  /**
   * Whether an account that keeps its connection may log in. Only at a host that had enough are these logins counted: after an outage all are to be back soon.
   *
   * @param now milliseconds
   * @returns milliseconds to wait, 0 for none
   */
  login(host: string, now: number): number {
    const known = this.of(host, now)
    if (known.refusals.length === 0) return 0
    const wait = this.untilLogin(known, now)
    if (wait === 0) known.logins.push(now)
    return wait
  }

  /** Takes notice that a host had enough of connections or logins. @param now milliseconds */
  refused(host: string, now: number): void {
    this.of(host, now).refusals.push(now)
  }

  private untilLogin({ logins }: Host, now: number): number {
    const [oldest] = logins
    if (oldest === undefined || logins.length < this.bounds.loginsPerMinute) return 0
    return oldest + MINUTE - now + LOOK_AGAIN * Math.random()
  }

  private of(name: string, now: number): Host {
    const host = name.toLowerCase()
    const known = this.hosts.get(host) ?? { open: 0, logins: [], refusals: [] }
    known.logins = known.logins.filter((at) => at > now - MINUTE)
    known.refusals = known.refusals.filter((at) => at > now - HALVED)
    this.hosts.set(host, known)
    return known
  }
}
