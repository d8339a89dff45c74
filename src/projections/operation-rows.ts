import type { Writes } from '../platform/statements.js'
import type { At, OperationChange } from './row-changes.js'

/** Folds changes of operations, one after the other; each is one statement, however many messages it is about. */
export async function foldOperations(
  session: Writes,
  accountId: string,
  changes: readonly At<OperationChange>[],
): Promise<void> {
  for (const { version, change } of changes) {
    switch (change.change) {
      case 'add operation':
        await addOperation(session, accountId, version, change)
        break
      case 'set operations':
        await session.query({
          name: 'set-operations',
          text: 'update operations set state = $2, version = $3 where operation_id = any($1::uuid[])',
          values: [change.operationIds, change.state, version],
        })
        break
      case 'settle operation':
        await settleOperation(session, version, change)
    }
  }
}

async function addOperation(
  session: Writes,
  accountId: string,
  version: number,
  { row, effects }: Extract<OperationChange, { change: 'add operation' }>,
): Promise<void> {
  const { operation_id, kind, mailbox_id, retry_of, requested_at, messages } = row
  await session.query({
    name: 'add-operation',
    text: `with operation as (
             insert into operations (operation_id, account_id, kind, mailbox_id, retry_of, requested_at, messages,
               requested_version, version, state)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8, 'PENDING')
           )
           insert into operation_messages (operation_id, account_id, message_id, requested_version, effect)
           select $1, $2, (effect->>'messageId')::uuid, $8, effect from json_array_elements($9::json) as effect`,
    values: [
      operation_id,
      accountId,
      kind,
      mailbox_id,
      retry_of,
      requested_at,
      messages,
      version,
      JSON.stringify(effects),
    ],
  })
}

/** Of messages for which it was not rejected only the number is kept; the log has the rest. */
async function settleOperation(
  session: Writes,
  version: number,
  { operationId, settled, outcome, reason, at }: Extract<OperationChange, { change: 'settle operation' }>,
): Promise<void> {
  const count = (wanted: string) =>
    settled.reduce((sum, group) => (group.outcome === wanted ? sum + group.messageIds.length : sum), 0)
  await session.query({
    name: 'settle-operation',
    text: `update operations set applied = applied + $2, superseded = superseded + $3, rejected = rejected + $4,
             undone = undone + $5, state = coalesce($6, state), reason = coalesce($7, reason),
             settled_at = case when $6::text is null then settled_at else $8::timestamptz end, version = $9
           where operation_id = $1`,
    values: [
      operationId,
      count('APPLIED'),
      count('SUPERSEDED'),
      count('REJECTED'),
      count('UNDONE'),
      outcome,
      reason,
      at,
      version,
    ],
  })
  for (const group of settled) {
    const isKept = group.outcome === 'REJECTED'
    await session.query({
      name: isKept ? 'keep-operation-messages' : 'remove-operation-messages',
      text: isKept
        ? `update operation_messages set outcome = $3 where operation_id = $1 and message_id = any($2::uuid[])`
        : 'delete from operation_messages where operation_id = $1 and message_id = any($2::uuid[])',
      values: isKept ? [operationId, group.messageIds, group.reason ?? ''] : [operationId, group.messageIds],
    })
  }
}
