import { ACCESS_MODELS, type AccessModel } from '../mailbox/access-model.js'
import type { AccountHome, HomeTools } from './account-home.js'
import { HeldHome } from './held-home.js'
import { OfflineHome } from './offline/offline-home.js'
import { viewThere } from '../projections/account-views.js'

/** The homes of the accounts that this process works for. */
export class AccountHomes {
  private readonly homes = new Map<string, { isOffline: boolean; home: AccountHome }>()

  constructor(private readonly tools: HomeTools) {}

  /** An account's home, made at the first call, and another one where the account is OFFLINE now, or is no longer. */
  of(accountId: string, model: AccessModel): AccountHome {
    const isOffline = model === 'OFFLINE'
    const known = this.homes.get(accountId)
    if (known?.isOffline === isOffline) return known.home
    known?.home.stop().catch(() => undefined)
    const home = isOffline ? new OfflineHome(accountId, this.tools) : new HeldHome(accountId, this.tools)
    this.homes.set(accountId, { isOffline, home })
    return home
  }

  /** For each access model, the connections that are held, and the longest time since one of them was used to look at all mailboxes, in milliseconds. */
  held(): Map<AccessModel, { connections: number; lag: number }> {
    const held = new Map(ACCESS_MODELS.map((model) => [model, { connections: 0, lag: 0 }]))
    for (const { home } of this.homes.values()) {
      const each = home.held && held.get(home.held.model)
      if (!each || !home.held) continue
      each.connections++
      each.lag = Math.max(each.lag, Date.now() - home.held.checkedAt)
    }
    return held
  }

  /** Ends the work for an account. */
  async drop(accountId: string): Promise<void> {
    const known = this.homes.get(accountId)
    this.homes.delete(accountId)
    await known?.home.stop()
  }

  /** Ends the work for accounts that were forgotten by another process, which may not have been heard of. */
  async dropForgotten(): Promise<void> {
    const there = new Set(await viewThere(this.tools.database.pool, [...this.homes.keys()]))
    await Promise.all([...this.homes.keys()].filter((id) => !there.has(id)).map((id) => this.drop(id)))
  }

  /** Puts the work for accounts down and closes their connections. */
  async stop(isOfThem: (accountId: string) => boolean): Promise<void> {
    await Promise.all([...this.homes.keys()].filter(isOfThem).map((accountId) => this.drop(accountId)))
  }
}
