import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a folder, with those above it, where it is not there. Node's recursive mkdir never ends on a file system in which nobody can make folders, such as /proc.
 *
 * @throws the error of the file system, EEXIST where something else has the name
 */
export async function makeFolder(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { mode })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const above = dirname(path)
    // also where another process has been quicker
    if (code === 'EEXIST' && (await isFolder(path))) return
    if (code !== 'ENOENT' || above === path || (await isFolder(above))) throw error
    await makeFolder(above, mode)
    await makeFolder(path, mode)
  }
}

const isFolder = (path: string) =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
