import { connectThroughWire, DisconnectedAccount } from './disconnected.ts'
import type { MailServer } from './imap-server.ts'
import { until, type Service } from './service.ts'

/** A session as a client sees it. */
export type SeenSession = { id: string; openedAt: string; idleSeconds: number; expiresAt: string }

type SessionPayload = {
  session: SeenSession | null
  account: { currentAsOf: string | null; messages: { nodes: { subject: string }[] } } | null
  errors: { __typename: string; message: string }[]
}

const PAYLOAD = `session { id openedAt idleSeconds expiresAt }
  account { currentAsOf messages(first: 50) { nodes { subject } } } errors { __typename ... on UserError { message } }`

/** An ONLINE account, worked with by public clients only, behind a wire; and another client on the server. */
export class OnlineAccount extends DisconnectedAccount {
  /** Connects one, and waits until it was read for the first time and its connection ended. */
  static override async connect(
    service: Service,
    server: Pick<MailServer, 'imapPort' | 'client'>,
    username: string,
    hidden: readonly string[] = [],
  ): Promise<OnlineAccount> {
    const { id, wire } = await connectThroughWire(service, server, username, 'ONLINE', hidden)
    const connectOther = () => server.client(username)
    const account = new OnlineAccount(service, id, wire, await connectOther(), connectOther)
    await account.untilState('NO_SESSION')
    return account
  }

  async untilState(wanted: string): Promise<void> {
    let last = ''
    await until(async () => (last = (await this.state()).connection.state) === wanted).catch((error: Error) => {
      throw new Error(`${error.message}: it is ${last}, not ${wanted}; ${this.service.said()}`)
    })
  }

  async openSession(idleSeconds = 600): Promise<SessionPayload> {
    const query = `mutation ($input: OpenSessionInput!) { openSession(input: $input) { ${PAYLOAD} } }`
    const input = { accountId: this.id, idleSeconds }
    return (await this.service.ask<{ openSession: SessionPayload }>(query, { input })).openSession
  }

  keepSession(id: string): Promise<SessionPayload> {
    return this.ofSession('keepSession', id)
  }

  closeSession(id: string): Promise<SessionPayload> {
    return this.ofSession('closeSession', id)
  }

  /** Opens a session, and waits until all was looked at. @returns the session's id */
  async session(): Promise<string> {
    const { session } = await this.openSession()
    const since = Date.parse(session?.openedAt ?? '')
    await until(async () => Date.parse((await this.currentAsOf()) ?? '') >= since)
    return session?.id ?? ''
  }

  async currentAsOf(): Promise<string | null> {
    const query = 'query ($id: ID!) { account(id: $id) { currentAsOf } }'
    return (await this.service.ask<{ account: { currentAsOf: string | null } }>(query, { id: this.id })).account
      .currentAsOf
  }

  private async ofSession(field: string, id: string): Promise<SessionPayload> {
    const query = `mutation ($id: ID!) { ${field}(sessionId: $id) { ${PAYLOAD} } }`
    return (await this.service.ask<Record<string, SessionPayload>>(query, { id }))[field] as SessionPayload
  }
}
