import { createUnionType, Field, Float, ID, InputType, Int, InterfaceType, ObjectType } from '@nestjs/graphql'
import type { ConnectFailure } from '../../mailbox/commands.js'
import { describeFailure } from '../../mailbox/failures.js'
import { nodeId } from '../ids.js'
import { Account } from './account.type.js'
import { AccessModelEnum, AuthenticationEnum, ProtocolEnum, SecurityEnum } from './enums.js'

@InputType({ description: 'What connects an account. The settings are tried before they are saved.' })
export class ConnectAccountInput {
  @Field(() => AccessModelEnum, { description: 'How the account is to be worked with.' })
  model!: AccessModelEnum

  @Field(() => ProtocolEnum, { nullable: true, description: 'The protocol to speak; IMAP where none is given.' })
  protocol?: ProtocolEnum | null

  @Field({ description: 'Host name or IP address of the mail server.' })
  host!: string

  @Field(() => Int, { nullable: true, description: "TCP port; the protocol's own where none is given." })
  port?: number | null

  @Field(() => SecurityEnum, {
    nullable: true,
    description: 'How to protect the connection: TLS where nothing is given, STARTTLS on ports 143 and 110.',
  })
  security?: SecurityEnum | null

  @Field({ description: 'Whom to log in.' })
  username!: string

  @Field(() => AuthenticationEnum, {
    nullable: true,
    description: 'How to log in; with a password where it is not given.',
  })
  authentication?: AuthenticationEnum | null

  @Field({ description: 'The password, or the access token; it is encrypted at rest, and never returned or logged.' })
  password!: string

  @Field(() => String, {
    nullable: true,
    description:
      'The one certificate to trust, whoever signed it, whatever host it names and whenever it ends: its SHA-256, 64 hexadecimal digits with or without colons. TlsNotTrusted tells it: compare it with what the server itself says. Where none is given, the authorities decide.',
  })
  certificateFingerprint?: string | null
}

@InputType({ description: 'New credentials for an account; they are tried before they are saved.' })
export class ChangeCredentialsInput {
  @Field(() => ID, { description: 'The account.' })
  accountId!: string

  @Field({ description: 'The new password.' })
  password!: string

  @Field(() => String, {
    nullable: true,
    description:
      'The one certificate to trust from now on, by its SHA-256; null has the authorities decide. Where it is not given, nothing changes.',
  })
  certificateFingerprint?: string | null
}

@InterfaceType({ description: 'Why something that was asked for was not done. Nothing has changed.' })
export abstract class UserError {
  @Field({ description: 'One sentence for a person.' })
  message!: string
}

/** The errors that say nothing beside their sentence, by their kinds; each is a type of its own. */
export function plainError(name: string, description: string): new () => UserError {
  const type = class extends UserError {}
  Object.defineProperty(type, 'name', { value: name })
  ObjectType(name, { implements: () => [UserError], description })(type)
  return type
}

const HostNotFound = plainError('HostNotFound', 'No such host is known.')
const ConnectionRefused = plainError('ConnectionRefused', 'The host refuses connections on the port.')
const ConnectionTimedOut = plainError('ConnectionTimedOut', 'The host did not answer in time.')
const TlsNotOffered = plainError('TlsNotOffered', 'The server offers no TLS where TLS is required.')
const ProtocolNotSpoken = plainError('ProtocolNotSpoken', 'Something else than the protocol lives on the port.')
const PlaintextNotAllowed = plainError(
  'PlaintextNotAllowed',
  'Connections without TLS are not allowed to hosts that are not loopback.',
)
const HostNotAllowed = plainError(
  'HostNotAllowed',
  'The host has no address that mail hosts may have (MAILFOLD_MAIL_HOSTS). Nothing was connected to.',
)
export const ModelNotPossible = plainError('ModelNotPossible', 'The protocol cannot serve the access model.')
const MaildropInUse = plainError('MaildropInUse', 'Another session has the maildrop open: try again when it is over.')
const ConnectionLost = plainError('ConnectionLost', 'The connection broke, or the server did what it should not.')
export const PastState = plainError(
  'PastState',
  'The id is that of a past state, which names nothing that can be changed: its `presentId` does.',
)
export const AccountNotFound = plainError('AccountNotFound', 'There is no such account.')

@ObjectType({ implements: () => [UserError], description: 'The server refused user name or password.' })
export class LoginRefused extends UserError {
  @Field({ description: "The server's own words." })
  serverSaid!: string
}

@ObjectType({
  implements: () => [UserError],
  description: "The server's certificate is not trusted, not for this host, or not valid today.",
})
export class TlsNotTrusted extends UserError {
  @Field(() => String, {
    nullable: true,
    description:
      'SHA-256 of the certificate that the server showed, in hexadecimal with colons; null where it could not be read. With it as certificateFingerprint, that certificate is trusted.',
  })
  certificateFingerprint!: string | null
}

@ObjectType({ implements: () => [UserError], description: 'The server asks for a pause.' })
export class ServerThrottles extends UserError {
  @Field(() => Float, { nullable: true, description: 'Seconds to wait, where the server names them.' })
  retryAfter!: number | null
}

@ObjectType({ implements: () => [UserError], description: 'The same login on the same server is connected already.' })
export class AlreadyConnected extends UserError {
  @Field(() => ID, { description: 'The account that it is.' })
  accountId!: string
}

@ObjectType({ implements: () => [UserError], description: 'A setting cannot be used.' })
export class InvalidSettings extends UserError {
  @Field({ description: 'Which field of the input.' })
  field!: string
}

export const ConnectAccountError = createUnionType({
  name: 'ConnectAccountError',
  description: 'Why an account was not connected.',
  types: () =>
    [
      HostNotFound,
      ConnectionRefused,
      ConnectionTimedOut,
      TlsNotTrusted,
      TlsNotOffered,
      LoginRefused,
      ProtocolNotSpoken,
      PlaintextNotAllowed,
      HostNotAllowed,
      ModelNotPossible,
      ServerThrottles,
      MaildropInUse,
      ConnectionLost,
      AlreadyConnected,
      AccountNotFound,
      InvalidSettings,
      PastState,
    ] as const,
  resolveType: (value: object) => value.constructor,
})

@ObjectType({ description: 'What became of connecting an account, or of changing its credentials.' })
export class ConnectAccountPayload {
  @Field(() => Account, { nullable: true, description: 'The account, when it worked.' })
  account!: Account | null

  @Field(() => [ConnectAccountError], { description: 'Why the settings were not saved, when they were not.' })
  errors!: UserError[]
}

@ObjectType({ description: 'What became of asking for a sync.' })
export class SyncNowPayload {
  @Field(() => Account, {
    nullable: true,
    description: 'The account as it is now; what the sync brings comes as changes.',
  })
  account!: Account | null

  @Field(() => [ConnectAccountError], { description: 'Why it could not be asked for.' })
  errors!: UserError[]
}

/** Brings a failure into the API's form. */
export function userErrorOf(failure: ConnectFailure): UserError {
  switch (failure.kind) {
    case 'LoginRefused':
      return Object.assign(new LoginRefused(), { message: describeFailure(failure), serverSaid: failure.serverSaid })
    case 'TlsNotTrusted':
      return Object.assign(new TlsNotTrusted(), {
        message: describeFailure(failure),
        certificateFingerprint: failure.certificateFingerprint,
      })
    case 'Throttled':
      return Object.assign(new ServerThrottles(), {
        message: describeFailure(failure),
        retryAfter: failure.pause === null ? null : failure.pause / 1000,
      })
    case 'AlreadyConnected':
      return Object.assign(new AlreadyConnected(), {
        message: 'This mailbox is connected already.',
        accountId: nodeId('Account', failure.accountId),
      })
    case 'InvalidSettings':
      return Object.assign(new InvalidSettings(), {
        message: `${failure.field}: ${failure.reason}`,
        field: failure.field,
      })
    case 'ModelNotPossible':
      return Object.assign(new ModelNotPossible(), { message: failure.reason })
    case 'AccountNotFound':
      return Object.assign(new AccountNotFound(), { message: 'There is no such account.' })
    case 'CommandRefused':
      return Object.assign(new ConnectionLost(), { message: describeFailure(failure) })
    default:
      return Object.assign(new plainErrors[failure.kind](), { message: describeFailure(failure) })
  }
}

const plainErrors = {
  HostNotFound,
  ConnectionRefused,
  ConnectionTimedOut,
  TlsNotOffered,
  ProtocolNotSpoken,
  PlaintextNotAllowed,
  HostNotAllowed,
  MaildropInUse,
  ConnectionLost,
}
