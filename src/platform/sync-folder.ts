import { open } from 'node:fs/promises'

/** Brings a folder's entries onto the disk: a file's name, or its going, is durable only then. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
