import { join } from 'node:path'

/** Where a blob is, in the folder of the store. */
export function blobPath(folder: string, sha256: string): string {
  return join(folder, sha256.slice(0, 2), sha256)
}

/** Where earlier versions put it: two levels of folders cost more to make than the files in them. */
export function earlierBlobPath(folder: string, sha256: string): string {
  return join(folder, sha256.slice(0, 2), sha256.slice(2, 4), sha256)
}
