import { BlobsAway } from './blob-store.js'

/** What failed where raw messages were to be kept, read or removed, with one sentence for a person. */
export type KeepingFailure = { kind: 'BLOB_STORE' | 'DISK_FULL'; reason: string }

/** Codes of a disk that is full, a quota that is used up, and a file-size limit. */
const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** System calls on files. */
const OF_FILES: ReadonlySet<string> = new Set(
  'open read write close fsync fdatasync mkdir rename rm unlink stat lstat scandir'.split(' '),
)

/** What failed where raw messages were to be kept, read or removed; null where the error is another one. */
export function keepingFailureOf(error: unknown): KeepingFailure | null {
  if (error instanceof BlobsAway) return { kind: 'BLOB_STORE', reason: BlobsAway.told }
  const { code, syscall } = (error ?? {}) as Partial<NodeJS.ErrnoException>
  if (code === undefined || syscall === undefined || !OF_FILES.has(syscall)) return null
  if (FULL.has(code)) return { kind: 'DISK_FULL', reason: `The disk of the raw messages is full (${code}).` }
  return { kind: 'BLOB_STORE', reason: `The folder of the raw messages cannot be used (${code}).` }
}
