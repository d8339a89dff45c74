const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

/** Minutes east of UTC of zones by their names: those of RFC 5322 §4.3, and those that mailers write beside them. */
const ZONES: Readonly<Record<string, number>> = {
  ut: 0,
  utc: 0,
  gmt: 0,
  z: 0,
  est: -300,
  edt: -240,
  cst: -360,
  cdt: -300,
  mst: -420,
  mdt: -360,
  pst: -480,
  pdt: -420,
  wet: 0,
  west: 60,
  bst: 60,
  cet: 60,
  cest: 120,
  mez: 60,
  mesz: 120,
  met: 60,
  mest: 120,
  eet: 120,
  eest: 180,
  msk: 180,
  jst: 540,
  kst: 540,
  hst: -600,
  akst: -540,
  akdt: -480,
  aest: 600,
  aedt: 660,
  nzst: 720,
  nzdt: 780,
}

/** Day, month and year, then the time: `2 Mar 2026 10:00:00`, with dots, dashes and more white space, with or without seconds. */
const DATE =
  /\b(\d{1,2})[\s-]+([a-z]{3,9})\.?[\s-]+(\d{4}|\d{2,3})[\s,]+(\d{1,2})[:.](\d{2})(?:[:.](\d{2})(?:[.,]\d+)?)?\s*(.*)$/i
/** As C's asctime writes it: `Mon Mar  2 10:00:00 2026`. */
const ASCTIME = /\b([a-z]{3})\s+(\d{1,2})\s+(\d{1,2}):(\d{2}):(\d{2})\s+(?:([a-z]+)\s+)?(\d{4})\s*(.*)$/i
/** ISO 8601, as some programs write it. */
const ISO = /^\s*(\d{4})-(\d{2})-(\d{2})[t\s](\d{2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*(.*)$/i

/**
 * A date of a header (RFC 5322 §3.3 and §4.3), and what mailers write in its place. One without a zone is in UTC.
 *
 * @returns milliseconds since 1970; null for what is no date
 */
export function readDate(value: string): number | null {
  // comments nest (RFC 5322 §3.2.2); they say nothing
  let text = value
  for (let before = ''; before !== text;) [before, text] = [text, text.replace(/\([^()]*\)/g, ' ')]
  text = text.replace(/\s+/g, ' ').trim()
  const iso = ISO.exec(text)
  if (iso) return momentOf(iso[1], Number(iso[2]) - 1, iso[3], iso.slice(4, 7), iso[7])
  const asctime = ASCTIME.exec(text)
  if (asctime)
    return momentOf(asctime[7], monthOf(asctime[1]), asctime[2], asctime.slice(3, 6), asctime[6] ?? asctime[8])
  const found = DATE.exec(text)
  return found && momentOf(found[3], monthOf(found[2]), found[1], found.slice(4, 7), found[7])
}

function monthOf(name = ''): number {
  return MONTHS.indexOf(name.slice(0, 3).toLowerCase())
}

function momentOf(
  yearText = '',
  month: number,
  dayText = '',
  time: readonly (string | undefined)[],
  zone = '',
): number | null {
  const [hour = 0, minute = 0, second = 0] = time.map((text) => Number(text ?? 0))
  const day = Number(dayText)
  const offset = offsetOf(zone)
  const isPossible = month >= 0 && month < 12 && day >= 1 && hour < 24 && minute < 60 && second <= 60
  if (!isPossible || offset === null) return null
  const date = new Date(0)
  date.setUTCFullYear(yearOf(yearText), month, day)
  // a day that its month does not have
  if (date.getUTCDate() !== day) return null
  // the 60th second is the first of the next minute
  return date.setUTCHours(hour, minute, second) - offset * 60_000
}

/** Years of two and three digits: RFC 5322 §4.3. */
function yearOf(text: string): number {
  const year = Number(text)
  if (text.length === 2) return year < 50 ? 2_000 + year : 1_900 + year
  return text.length === 3 ? 1_900 + year : year
}

/** Minutes east of UTC; null for what is no zone. A zone that nobody knows says nothing (RFC 5322 §4.3). */
function offsetOf(text: string): number | null {
  const zone = text.trim().split(/\s+/)[0] ?? ''
  const found = /^(?:gmt|utc)?([+-])(\d{2}):?(\d{2})$/i.exec(zone)
  if (found) {
    const minutes = Number(found[2]) * 60 + Number(found[3])
    return minutes > 24 * 60 ? null : found[1] === '-' ? -minutes : minutes
  }
  return ZONES[zone.toLowerCase()] ?? 0
}
