import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a folder, with those above it, where it is not there. Node's own way to do that never ends on a file system that has no new folders, as /proc.
 *
 * @throws the error of the file system, EEXIST where something else has the name
 */
export async function makeFolder(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { mode })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const above = dirname(path)
    if (code === 'EEXIST' && (await isFolder(path))) return
    if (code !== 'ENOENT' || above === path || (await isFolder(above))) throw error
    await makeFolder(above, mode)
    await mkdir(path, { mode }).catch((reason: NodeJS.ErrnoException) => {
      // another process has been quicker
      if (reason.code !== 'EEXIST') throw reason
    })
  }
}

const isFolder = (path: string) =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
