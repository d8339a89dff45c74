import { rmSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'

/** Has a file or folder made under another name, and gives it its own when it is whole; of one that is cut off, by a signal too, nothing stays. */
export async function whole<T>(target: string, make: (partial: string) => Promise<T>): Promise<T> {
  const partial = `${target}.partial`
  const remove = () => rmSync(partial, { recursive: true, force: true })
  process.once('exit', remove)
  try {
    await rm(partial, { recursive: true, force: true })
    const made = await make(partial)
    await rename(partial, target)
    return made
  } catch (error) {
    // what a write fails with does not name the file
    if ((error as NodeJS.ErrnoException).syscall === 'write') Object.assign(error as Error, { path: target })
    throw error
  } finally {
    await rm(partial, { recursive: true, force: true })
    process.off('exit', remove)
  }
}
