/** A run of UIDs, both ends included; UIDs are 1 to 4,294,967,295 (RFC 9051 §2.3.1.1). */
export type UidRange = readonly [first: number, last: number]

/** A set of UIDs as ascending runs that neither touch nor overlap: a mailbox of a million messages is often one run. */
export type UidSet = readonly UidRange[]

/** The set of the given UIDs, in whatever order and however often they come. */
export function uidSetOf(uids: Iterable<number>): UidSet {
  const runs: [number, number][] = []
  for (const uid of Float64Array.from(uids).sort()) {
    const last = runs.at(-1)
    if (last && uid <= last[1] + 1) last[1] = Math.max(last[1], uid)
    else runs.push([uid, uid])
  }
  return runs
}

/** How many UIDs a set holds. */
export function uidCount(set: UidSet): number {
  return set.reduce((sum, [first, last]) => sum + last - first + 1, 0)
}

/** What is in either of two sets. */
export function joinUids(one: UidSet, other: UidSet): UidSet {
  return joinRuns([...one, ...other].map(([first, last]) => [first, last]))
}

function joinRuns(runs: [number, number][]): UidSet {
  runs.sort(([one], [other]) => one - other)
  const joined: [number, number][] = []
  for (const [first, last] of runs) {
    const before = joined.at(-1)
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last)
    else joined.push([first, last])
  }
  return joined
}

/** What is in the first set and not in the second. */
export function withoutUids(set: UidSet, removed: UidSet): UidSet {
  const rest: UidRange[] = []
  let position = 0
  for (const [first, last] of set) {
    let from = first
    while (position < removed.length && (removed[position] as UidRange)[1] < from) position++
    for (let at = position; at < removed.length && from <= last; at++) {
      const [cut, until] = removed[at] as UidRange
      if (cut > last) break
      if (cut > from) rest.push([from, cut - 1])
      from = Math.max(from, until + 1)
    }
    if (from <= last) rest.push([from, last])
  }
  return rest
}

/** Cuts a set into pieces of at most `size` UIDs, the highest UIDs (the newest messages) first. */
export function newestFirst(set: UidSet, size: number): UidSet[] {
  const pieces: UidSet[] = []
  let piece: UidRange[] = []
  let room = size
  for (const [first, last] of [...set].reverse()) {
    let until = last
    while (until >= first) {
      const from = Math.max(first, until - room + 1)
      piece.unshift([from, until])
      room -= until - from + 1
      until = from - 1
      if (room === 0) {
        pieces.push(piece)
        piece = []
        room = size
      }
    }
  }
  if (piece.length > 0) pieces.push(piece)
  return pieces
}

/** Every UID of a set, ascending. Only for sets whose size is bounded. */
export function uidsOf(set: UidSet): number[] {
  return set.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, index) => first + index))
}

/** The set in IMAP's syntax, "1:4,7" (RFC 9051 §9, sequence-set). */
export function formatUidSet(set: UidSet): string {
  return set.map(([first, last]) => (first === last ? `${first}` : `${first}:${last}`)).join(',')
}

/** Reads IMAP's syntax, "4,1:3", in whatever order; what is no UID is left out. */
export function parseUidSet(text: string): UidSet {
  const runs = text.split(',').flatMap((part): [number, number][] => {
    const [from, to] = part.split(':').map(Number)
    if (!isUid(from) || !(to === undefined || isUid(to))) return []
    return [[Math.min(from, to ?? from), Math.max(from, to ?? from)]]
  })
  return joinRuns(runs)
}

function isUid(value: number | undefined): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 4_294_967_295
}
