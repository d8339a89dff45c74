/** Whether a time, in milliseconds, is of the years 1 to 9999: those that dates are written for, and that Postgres knows. */
export function isNear(time: number): boolean {
  return time >= -62_135_596_800_000 && time <= 253_402_300_799_999
}
