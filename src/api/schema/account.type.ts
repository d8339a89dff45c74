import type { ConnectionSchedule } from '../../mailbox/connection-schedule.js'
import type { NamespacePrefix, Namespaces } from '../../mailbox/namespaces.js'
import { Field, Float, ID, Int, ObjectType } from '@nestjs/graphql'
import type { AccountView } from '../../projections/account-views.js'
import { nodeId, streamCursor } from '../ids.js'
import { AccessModelEnum, AuthenticationEnum, ConnectionStateEnum, ProtocolEnum, SecurityEnum } from './enums.js'
import { Node, PRESENT_ID } from './node.type.js'
import { ConnectionRemedyEnum } from './remedy.type.js'

@ObjectType({ description: 'Where an account is connected to. The password is never returned.' })
export class AccountServer {
  @Field(() => ProtocolEnum, { description: 'The protocol that is spoken.' })
  protocol!: ProtocolEnum

  @Field({ description: 'Host name or IP address.' })
  host!: string

  @Field(() => Int, { description: 'TCP port.' })
  port!: number

  @Field(() => SecurityEnum, { description: 'How the connection is protected.' })
  security!: SecurityEnum

  @Field({ description: 'Whom the login is for.' })
  username!: string

  @Field(() => AuthenticationEnum, { description: 'How the account logs in.' })
  authentication!: AuthenticationEnum

  @Field(() => String, {
    nullable: true,
    description:
      'SHA-256 of the one certificate that is trusted, in hexadecimal with colons; null where the authorities decide.',
  })
  certificateFingerprint!: string | null

  @Field(() => String, { nullable: true, description: 'What the server calls itself (RFC 2971).' })
  software!: string | null

  @Field(() => [String], { description: 'What the server can do, in its own words (RFC 9051 §6.1.1, RFC 2449).' })
  capabilities!: string[]
}

@ObjectType({ description: "How an account's connection stands." })
export class AccountConnection {
  @Field(() => ConnectionStateEnum, { description: 'The state.' })
  state!: ConnectionStateEnum

  @Field({ description: 'Since when it has been in this state.' })
  since!: Date

  @Field(() => String, {
    nullable: true,
    description:
      'Why, where there is a reason; often in the words of the server. Where the state is CONNECTED or NO_SESSION: what keeps a part of the work from being done.',
  })
  reason!: string | null

  @Field(() => ConnectionRemedyEnum, {
    nullable: true,
    description: 'What a person can do about it; null where nothing fails.',
  })
  remedy!: ConnectionRemedyEnum | null

  @Field(() => Date, { nullable: true, description: 'Since when that fails; null where nothing fails.' })
  failingSince!: Date | null

  @Field(() => String, {
    nullable: true,
    description:
      'The id under which the log tells more; null where nothing fails, and for what is told by the mail server or the network.',
  })
  failureId!: string | null

  @Field(() => Date, { nullable: true, description: 'When the pause that the server asked for is over.' })
  throttledUntil!: Date | null

  @Field(() => Date, {
    nullable: true,
    description: 'Until when a client wants none, where the state is OFFLINE; null where it did not say.',
  })
  offlineUntil!: Date | null
}

@ObjectType('NamespacePrefix', { description: 'A namespace of a mail server (RFC 2342).' })
export class NamespacePrefixType implements NamespacePrefix {
  @Field({ description: 'What the paths of its mailboxes begin with; often empty.' })
  prefix!: string

  @Field(() => String, { nullable: true, description: 'What stands between the levels of a path.' })
  delimiter!: string | null
}

@ObjectType('Namespaces', { description: 'Where a mail server keeps mailboxes, by whose they are (RFC 2342).' })
export class NamespacesType implements Namespaces {
  @Field(() => [NamespacePrefixType], { description: 'Namespaces of the user. New mailboxes go into the first.' })
  personal!: NamespacePrefixType[]

  @Field(() => [NamespacePrefixType], { description: 'Namespaces of other users, who have given access.' })
  otherUsers!: NamespacePrefixType[]

  @Field(() => [NamespacePrefixType], { description: 'Namespaces that are meant for several users.' })
  shared!: NamespacePrefixType[]
}

@ObjectType({ description: 'How far an account or a mailbox has been read.' })
export class SyncProgress {
  @Field(() => Int, { description: 'Messages that are in the index.' })
  done!: number

  @Field(() => Int, { description: 'Messages that the server had when it was last looked at.' })
  total!: number

  @Field({
    description:
      'Whether everything that was on the server at first sight has been read, but for mailboxes that have a `problem`.',
  })
  isComplete!: boolean
}

@ObjectType({ implements: () => [Node], description: "One user's mail on one server." })
export class Account implements Node {
  id!: string

  @Field(() => ID, PRESENT_ID)
  presentId!: string

  @Field(() => AccessModelEnum, { description: 'How it is worked with.' })
  model!: AccessModelEnum

  @Field(() => AccountServer, { description: 'Where it is connected to.' })
  server!: AccountServer

  @Field(() => AccountConnection, { description: 'How the connection stands.' })
  connection!: AccountConnection

  @Field(() => NamespacesType, {
    nullable: true,
    description:
      'Where its server keeps mailboxes. `Mailbox.path` always has the prefix. A path for a new mailbox may be without: it gets the prefix of the first personal one. Null over POP3, and where the server has not told it.',
  })
  namespaces!: NamespacesType | null

  @Field({ description: 'When it was connected to Mailfold.' })
  connectedAt!: Date

  @Field(() => Float, { description: 'The version of its stream that this answer shows: the number of its events.' })
  version!: number

  @Field({
    description:
      "The place in the account's stream that this answer shows. A subscription that begins `after` it brings exactly what follows.",
  })
  cursor!: string

  view!: AccountView
  accountId!: string
  /** the version that it is shown at; null for now */
  at!: number | null
}

@ObjectType('ConnectionSchedule', {
  description:
    'When a DISCONNECTED account has a connection. Beside it goOffline and goOnline hold until its next moment.',
})
export class ConnectionScheduleType implements ConnectionSchedule {
  @Field({ description: 'When a connection is made: a cron expression of five fields.' })
  connectAt!: string

  @Field({ description: 'When it is ended.' })
  disconnectAt!: string

  @Field({ description: 'Where the hours are meant: the name of a time zone.' })
  timeZone!: string
}

/** Brings an account into the API's form. */
export function accountOf(view: AccountView, at: number | null = null): Account {
  return {
    id: nodeId('Account', view.accountId, at),
    presentId: nodeId('Account', view.accountId),
    view,
    accountId: view.accountId,
    at,
    model: view.model as AccessModelEnum,
    server: {
      protocol: view.protocol as ProtocolEnum,
      host: view.host,
      port: view.port,
      security: view.security as SecurityEnum,
      username: view.username,
      authentication: view.authentication as AuthenticationEnum,
      certificateFingerprint: view.certificateFingerprint,
      software: view.server,
      capabilities: view.capabilities,
    },
    connection: {
      state: view.state as ConnectionStateEnum,
      since: view.since,
      reason: view.detail,
      remedy: (view.failure?.remedy ?? null) as ConnectionRemedyEnum | null,
      failingSince: view.failure?.since ?? null,
      failureId: view.failure?.failureId ?? null,
      throttledUntil: view.throttledUntil,
      offlineUntil: view.offlineUntil,
    },
    namespaces: view.namespaces as NamespacesType | null,
    connectedAt: view.connectedAt,
    version: view.version,
    cursor: streamCursor(view.accountId, view.version),
  }
}
