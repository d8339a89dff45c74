/** How many bytes a maildrop held at a time, in milliseconds. */
export type Measure = { at: number; bytes: number }

/** When a maildrop will be full, in milliseconds: likely, and between which moments; null for later than ten years. */
export type Forecast = { fullAt: number; earliest: number; latest: number | null }

/** Measures that are looked at: the newest, since what grew years ago says little of tomorrow. */
const MOST_MEASURES = 200
const FARTHEST = 10 * 365 * 86_400_000
const LEAST_SPAN = 3_600_000

/**
 * Foretells when a maildrop will be full, by the median of the slopes between all pairs of measures (Theil and Sen): one
 * large message, or one tidying up, does not turn it. The range is that of the middle half of the slopes.
 *
 * @param measures in the order of their times
 * @returns null where it does not grow, where nothing is known of its growth yet, or where it takes ten years and more
 */
export function forecastFull(measures: readonly Measure[], limit: number): Forecast | null {
  const looked = thinned(measures)
  const [first, last] = [looked[0], looked.at(-1)]
  if (!first || !last || last.at - first.at < LEAST_SPAN) return null
  if (last.bytes >= limit) return { fullAt: last.at, earliest: last.at, latest: last.at }
  const slopes: number[] = []
  for (const [index, one] of looked.entries())
    for (const other of looked.slice(index + 1))
      if (other.at > one.at) slopes.push((other.bytes - one.bytes) / (other.at - one.at))
  slopes.sort((one, other) => one - other)
  const slope = quantile(slopes, 0.5)
  const moment = (rate: number) => (rate > 0 ? last.at + (limit - last.bytes) / rate : Infinity)
  const fullAt = moment(slope)
  if (fullAt - last.at > FARTHEST) return null
  const latest = moment(quantile(slopes, 0.25))
  return { fullAt, earliest: moment(quantile(slopes, 0.75)), latest: latest - last.at > FARTHEST ? null : latest }
}

/** Evenly, so that a long history costs no more than a short one, and always with the newest. */
function thinned(measures: readonly Measure[]): Measure[] {
  const step = Math.max(1, Math.ceil(measures.length / MOST_MEASURES))
  return measures.filter((_, index) => (measures.length - 1 - index) % step === 0)
}

function quantile(sorted: readonly number[], share: number): number {
  const place = (sorted.length - 1) * share
  const [below, above] = [sorted[Math.floor(place)] ?? 0, sorted[Math.ceil(place)] ?? 0]
  return below + (above - below) * (place - Math.floor(place))
}
