import type { Cause, RecordedEvent } from '../mailbox/events.js'
import { upcast } from '../mailbox/upcasters.js'
import type { Queryable } from '../platform/database.js'

/** A row of `events`, as pg hands it out. */
type EventRow = {
  account_id: string
  version: string
  type: string
  shape: number
  recorded_at: Date
  cause: Cause
  data: unknown
}

const EVENT_COLUMNS = 'event.account_id, event.version, type, shape, event.recorded_at, cause, data'

/**
 * Events of a stream after a version, in order, at most `limit`, in their present shapes.
 *
 * @throws UnknownEvent for one that a newer Mailfold wrote
 */
export async function readStream(
  session: Queryable,
  accountId: string,
  after: number,
  limit: number,
): Promise<RecordedEvent[]> {
  const { rows } = await session.query<EventRow>({
    name: 'read-stream',
    text: `select ${EVENT_COLUMNS} from events as event
           where account_id = $1 and version > $2 order by version limit $3`,
    values: [accountId, after, limit],
  })
  return rows.map(recorded)
}

/** The events of a stream at the given versions, in order. */
export async function readEvents(
  session: Queryable,
  accountId: string,
  versions: readonly number[],
): Promise<RecordedEvent[]> {
  const { rows } = await session.query<EventRow>({
    name: 'read-events',
    text: `select ${EVENT_COLUMNS} from events as event
           where account_id = $1 and version = any($2::bigint[]) order by version`,
    values: [accountId, versions],
  })
  return rows.map(recorded)
}

/** A place in the order of the whole store: behind an event of an append. */
export type StorePlace = { position: number; accountId: string; version: number }

/** Before the first event of all. */
export const STORE_START: StorePlace = { position: 0, accountId: '00000000-0000-0000-0000-000000000000', version: 0 }

/** An event at its place in the whole store. */
export type StoreEvent = { place: StorePlace; event: RecordedEvent }

/*
 * The order of the whole store is that of transaction ids, with which appends are marked, and within a transaction by
 * account and version. It is read only up to the oldest transaction that is still running: whatever that and later ones
 * commit comes behind. An append whose transaction took its id before it got hold of the stream's head is marked with
 * the mark of the append before it, if that is higher, so that a stream's versions are in this order, too.
 * `position_offset` keeps the order when a store is moved to where ids are smaller.
 */
const SETTLED = `(select pg_snapshot_xmin(pg_current_snapshot())::text::bigint + position_offset from store)`

/** Events of all streams behind a place, in the store's order, at most `limit`. */
export async function readStore(session: Queryable, after: StorePlace, limit: number): Promise<StoreEvent[]> {
  const { rows } = await session.query<EventRow & { position: string }>({
    name: 'read-store',
    text: `with page as (
             select position, account_id, last_version,
               case when position = $1 and account_id = $2 then greatest(first_version, $3 + 1) else first_version end as first_version
             from appends
             where (position, account_id, last_version) > ($1, $2, $3) and position < ${SETTLED}
             order by position, account_id, last_version limit $4
           )
           select position, ${EVENT_COLUMNS} from page join events as event
             on event.account_id = page.account_id and event.version between page.first_version and page.last_version
           order by position, page.account_id, event.version limit $4`,
    values: [after.position, after.accountId, after.version, limit],
  })
  return rows.map((row) => {
    const event = recorded(row)
    return { event, place: { position: Number(row.position), accountId: event.accountId, version: event.version } }
  })
}

/** The place behind everything that has settled: what is read after it was committed later. */
export async function storeEnd(session: Queryable): Promise<StorePlace> {
  const { rows } = await session.query<{ position: string; account_id: string; last_version: string }>(
    `select position, account_id, last_version from appends where position < ${SETTLED}
     order by position desc, account_id desc, last_version desc limit 1`,
  )
  const row = rows[0]
  if (!row) return STORE_START
  return { position: Number(row.position), accountId: row.account_id, version: Number(row.last_version) }
}

/** Makes new appends come behind all that are there, also where the store was moved to a younger database. */
export async function keepPositionsGrowing(session: Queryable): Promise<void> {
  await session.query(
    `update store set position_offset = greatest(position_offset,
       (select coalesce(max(position), 0) from appends) + 1 - pg_current_xact_id()::text::bigint)`,
  )
}

function recorded(row: EventRow): RecordedEvent {
  return {
    ...upcast({ type: row.type, shape: row.shape, data: row.data }),
    accountId: row.account_id,
    version: Number(row.version),
    recordedAt: row.recorded_at,
    cause: row.cause,
  }
}
