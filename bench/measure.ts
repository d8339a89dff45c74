import { chmod, readFile, readdir, writeFile } from 'node:fs/promises'

/** Percentile of a list of numbers. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
}

/** The middle of a list of numbers. */
export const median = (values: readonly number[]) => percentile(values, 0.5)

/** CPU seconds that a process, without its children, has used. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** Peak resident memory of a process, in MB. */
export async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024
}

/** CPU seconds of a process and all that it has started, by a sum over /proc. */
export async function treeCpuSeconds(root: number): Promise<number> {
  const parents = new Map<number, number>()
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '')
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    parents.set(Number(name), parent)
  }
  const inTree = (pid: number): boolean =>
    pid === root || (parents.has(pid) && pid > 1 && inTree(parents.get(pid) ?? 0))
  let sum = 0
  for (const pid of parents.keys()) if (inTree(pid)) sum += await cpuSeconds(pid).catch(() => 0)
  return sum
}

/** Lets a Dovecot tell many clients of new mail: without enough of these it looks for it every half minute. As root. */
export async function allowNotifications(): Promise<void> {
  await writeFile('/proc/sys/fs/inotify/max_user_instances', '65536').catch(() => {
    console.log('fs.inotify.max_user_instances cannot be raised: what Dovecot tells comes late')
  })
}

/** Prints rows under their headings, in columns. */
export function table(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const text = [headings, ...rows].map((row) =>
    row.map((cell) => (typeof cell === 'number' ? cell.toFixed(cell < 10 ? 2 : 0) : cell)),
  )
  const widths = headings.map((_, column) => Math.max(...text.map((row) => row[column]?.length ?? 0)))
  for (const row of text)
    console.log(
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  '),
    )
}

/** How long something takes, in seconds. */
export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1000
}

/** Writes a configuration that holds a password: programs refuse one that others can read. */
export async function secret(path: string, lines: readonly string[]): Promise<void> {
  await writeFile(path, lines.join('\n') + '\n')
  await chmod(path, 0o600)
}
