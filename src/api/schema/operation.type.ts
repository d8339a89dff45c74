import { Field, ID, Int, ObjectType } from '@nestjs/graphql'
import { messagesOf, type UploadStep as PlannedStep } from '../../mailbox/upload-plan.js'
import type { OperationView } from '../../projections/operation-views.js'
import { nodeId } from '../ids.js'
import { OperationKindEnum, OperationStateEnum, OutcomeReasonEnum, UploadStepKindEnum } from './enums.js'
import { PageInfo } from './message.type.js'
import { Node } from './node.type.js'

@ObjectType({
  implements: () => [Node],
  description: 'A change of mail that a client asked for, of which the server is told.',
})
export class Operation implements Node {
  id!: string

  @Field(() => OperationKindEnum, { description: 'What it asks for.' })
  kind!: OperationKindEnum

  @Field(() => OperationStateEnum, { description: 'How far it is.' })
  state!: OperationStateEnum

  @Field(() => OutcomeReasonEnum, { nullable: true, description: 'Why it ended as it did, where there is a reason.' })
  reason!: OutcomeReasonEnum | null

  @Field({ description: 'When it was asked for.' })
  requestedAt!: Date

  @Field(() => Date, { nullable: true, description: 'When it came to its outcome; null while it waits for it.' })
  settledAt!: Date | null

  @Field(() => Int, { description: 'How many messages it changes; 0 for an operation on a mailbox.' })
  messageCount!: number

  @Field(() => Int, { description: 'For how many messages the server did it.' })
  appliedCount!: number

  @Field(() => Int, {
    description: "For how many nothing had to be done, or the server's own change was given precedence.",
  })
  supersededCount!: number

  @Field(() => Int, { description: 'For how many it was not done.' })
  rejectedCount!: number

  @Field(() => ID, { nullable: true, description: 'The rejected operation that it tries again.' })
  retryOf!: string | null

  view!: OperationView
}

@ObjectType({ description: 'A message for which an operation was not done.' })
export class OperationRejection {
  @Field(() => ID, { description: 'The message; it may be gone.' })
  messageId!: string

  @Field(() => OutcomeReasonEnum, { description: 'Why the operation was not done for the message.' })
  reason!: OutcomeReasonEnum
}

@ObjectType({ description: 'Something that the server of an account is to be told next.' })
export class UploadStep {
  @Field(() => UploadStepKindEnum, { description: 'What the server is told.' })
  kind!: UploadStepKindEnum

  @Field(() => ID, { description: 'The mailbox that messages go into, are in, or that is changed itself.' })
  mailboxId!: string

  @Field(() => Int, { description: 'How many messages it is about; 0 for a mailbox.' })
  messageCount!: number

  @Field(() => [String], { description: 'STORE: flags and keywords that are added.' })
  add!: string[]

  @Field(() => [String], { description: 'STORE: flags and keywords that are removed.' })
  remove!: string[]
}

@ObjectType({ description: 'An operation in a list.' })
export class OperationEdge {
  @Field({ description: 'Its place in the list, for `after`.' })
  cursor!: string

  @Field(() => Operation, { description: 'The operation.' })
  node!: Operation
}

@ObjectType({ description: 'A page of operations, the latest first (Relay, Cursor Connections).' })
export class OperationConnection {
  @Field(() => [OperationEdge], { description: 'The operations with their places.' })
  edges!: OperationEdge[]

  @Field(() => [Operation], { description: 'The operations alone.' })
  nodes!: Operation[]

  @Field(() => PageInfo, { description: 'Where the page begins and ends.' })
  pageInfo!: PageInfo
}

/** Brings something that a server is to be told into the API's form. */
export function uploadStepOf(step: PlannedStep): UploadStep {
  const [add, remove] = step.kind === 'store' ? [[...step.add], [...step.remove]] : [[], []]
  const kind = step.kind.toUpperCase() as UploadStepKindEnum
  return { kind, mailboxId: nodeId('Mailbox', targetOf(step)), messageCount: messagesOf(step).length, add, remove }
}

function targetOf(step: PlannedStep): string {
  if (step.kind === 'copy' || step.kind === 'move') return step.to
  return 'on' in step ? step.on.mailboxId : step.mailboxId
}

/** Brings an operation into the API's form. */
export function operationOf(view: OperationView): Operation {
  return {
    id: nodeId('Operation', view.operationId),
    view,
    kind: view.kind as OperationKindEnum,
    state: view.state as OperationStateEnum,
    reason: view.reason as OutcomeReasonEnum | null,
    requestedAt: view.requestedAt,
    settledAt: view.settledAt,
    messageCount: view.messages,
    appliedCount: view.applied,
    supersededCount: view.superseded,
    rejectedCount: view.rejected,
    retryOf: view.retryOf && nodeId('Operation', view.retryOf),
  }
}
