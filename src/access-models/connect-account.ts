import { CommandHandler, EventBus, type ICommandHandler } from '@nestjs/cqrs'
import { v7 as newId } from 'uuid'
import type { AccessModel, ServerSettings } from '../mailbox/access-model.js'
import { whyNotPossible } from '../mailbox/access-model.js'
import {
  ChangeCredentials,
  checkSettings,
  ConnectAccount,
  WorkNeeded,
  type ConnectFailure,
  type ConnectOutcome,
} from '../mailbox/commands.js'
import { ServerFailed, type ServerFailure } from '../mailbox/failures.js'
import { Streams } from '../event-store/streams.js'
import { Platform } from '../platform/platform.js'
import { viewAccounts } from '../projections/account-views.js'
import { ImapConnection } from '../protocols/imap/imap-connection.js'
import { Pop3Connection } from '../protocols/pop3/pop3-connection.js'
import { dialPolicyOf } from './dial-policy.js'

/** Tries an account's settings on its server; only what works is saved. */
@CommandHandler(ConnectAccount)
export class ConnectAccountHandler implements ICommandHandler<ConnectAccount, ConnectOutcome> {
  constructor(
    private readonly platform: Platform,
    private readonly streams: Streams,
    private readonly bus: EventBus,
  ) {}

  async execute({ server: given, model, password }: ConnectAccount): Promise<ConnectOutcome> {
    // names of hosts are the same in any case (RFC 4343)
    const server = { ...given, host: given.host.toLowerCase() }
    const failure =
      whyNotTried(server, model, password) ??
      (await this.isConnected(server)) ??
      (await tryLogin(this.platform, server, password))
    if (failure) return { failure }
    const accountId = newId()
    const { protocol, host, port, security, username, authentication, certificateFingerprint } = server
    const login = authentication === 'PASSWORD' ? {} : { authentication }
    const trust = certificateFingerprint === null ? {} : { certificateFingerprint }
    const data = { protocol, host, port, security, username, model, ...login, ...trust }
    try {
      await this.streams.append(accountId, 0, [{ type: 'AccountConnected', data }], (session) =>
        this.platform.credentials.keep(session, accountId, password),
      )
    } catch (error) {
      // somebody else connected the same mailbox between the check and the append
      const other =
        (error as { constraint?: string }).constraint === 'accounts_by_login' ? await this.isConnected(server) : null
      if (other) return { failure: other }
      throw error
    }
    this.bus.publish(new WorkNeeded(accountId, model))
    return { accountId }
  }

  private async isConnected(server: ServerSettings): Promise<ConnectFailure | null> {
    const sql = 'select account_id from accounts where protocol = $1 and host = $2 and port = $3 and username = $4'
    const values = [server.protocol, server.host, server.port, server.username]
    const { rows } = await this.platform.database.pool.query<{ account_id: string }>(sql, values)
    return rows[0] ? { kind: 'AlreadyConnected', accountId: rows[0].account_id } : null
  }
}

/** Tries an account's new password; only one that works is saved. It also ends the rest after a refused login. */
@CommandHandler(ChangeCredentials)
export class ChangeCredentialsHandler implements ICommandHandler<ChangeCredentials, ConnectOutcome> {
  constructor(
    private readonly platform: Platform,
    private readonly streams: Streams,
    private readonly bus: EventBus,
  ) {}

  async execute({ accountId, password, certificateFingerprint }: ChangeCredentials): Promise<ConnectOutcome> {
    const [account] = await viewAccounts(this.platform.database.pool, [accountId])
    if (!account) return { failure: { kind: 'AccountNotFound' } }
    const trust = certificateFingerprint === undefined ? {} : { certificateFingerprint }
    const server = { ...account, ...trust }
    const failure = checkSettings(server, password) ?? (await tryLogin(this.platform, server, password))
    if (failure) return { failure }
    await this.streams.decide(
      accountId,
      (session) => this.platform.credentials.keep(session, accountId, password),
      () => [{ type: 'CredentialsChanged', data: trust }],
    )
    this.bus.publish(new WorkNeeded(accountId, account.model))
    return { accountId }
  }
}

function whyNotTried(server: ServerSettings, model: AccessModel, password: string): ConnectFailure | null {
  const reason = whyNotPossible(server.protocol, model)
  if (reason !== null) return { kind: 'ModelNotPossible', reason }
  return checkSettings(server, password)
}

/** A certificate that no server has. */
const NO_CERTIFICATE = ''

/** Tries settings, and looks at the certificate where that is what they fail by. @returns why they do not work, null where they do */
async function tryLogin(platform: Platform, server: ServerSettings, password: string): Promise<ConnectFailure | null> {
  const failure = await tryOnce(platform, server, password)
  if (failure?.kind !== 'TlsNotTrusted' || server.certificateFingerprint !== null) return failure
  // the refusal of TLS does not tell the certificate: this one does, and ends before the login
  const looked = await tryOnce(platform, { ...server, certificateFingerprint: NO_CERTIFICATE }, 'not the password')
  const certificateFingerprint = looked?.kind === 'TlsNotTrusted' ? looked.certificateFingerprint : null
  return { ...failure, certificateFingerprint }
}

async function tryOnce(platform: Platform, server: ServerSettings, password: string): Promise<ServerFailure | null> {
  try {
    const policy = dialPolicyOf(platform)
    if (server.protocol === 'POP3') await (await Pop3Connection.open(server, password, policy)).quit()
    else await (await ImapConnection.open(server, password, policy, platform.logger)).close()
    return null
  } catch (error) {
    if (error instanceof ServerFailed) return error.failure
    throw error
  }
}
