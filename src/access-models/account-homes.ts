import type { AccessModel } from '../mailbox/access-model.js'
import type { AccountHome, HomeTools } from './account-home.js'
import { HeldHome } from './held-home.js'
import { OfflineHome } from './offline/offline-home.js'

/** The homes of the accounts that this process works for. */
export class AccountHomes {
  private readonly homes = new Map<string, AccountHome>()

  constructor(private readonly tools: HomeTools) {}

  /** An account's home, made at the first call. */
  of(accountId: string, model: AccessModel): AccountHome {
    const home = this.homes.get(accountId) ?? this.make(accountId, model)
    this.homes.set(accountId, home)
    return home
  }

  /** Ends the work for an account that was forgotten. */
  async drop(accountId: string): Promise<void> {
    const home = this.homes.get(accountId)
    this.homes.delete(accountId)
    await home?.stop()
  }

  /** Closes every connection. */
  async stop(): Promise<void> {
    await Promise.all([...this.homes.values()].map((home) => home.stop()))
  }

  private make(accountId: string, model: AccessModel): AccountHome {
    return model === 'OFFLINE' ? new OfflineHome(accountId, this.tools) : new HeldHome(accountId, this.tools)
  }
}
