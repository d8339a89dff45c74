import { join } from 'node:path'
import type { Settings } from '../../platform/settings.js'
import type { BlobStore } from './blob-store.js'
import { FileBlobs } from './file-blobs.js'
import { S3Blobs } from './s3-blobs.js'

/** Where raw messages are kept: a folder, or a bucket (`s3://bucket/prefix`). */
export function blobPlace({ MAILFOLD_BLOBS, MAILFOLD_DATA }: Settings): string {
  return MAILFOLD_BLOBS ?? join(MAILFOLD_DATA, 'blobs')
}

/** The store of such a place; `open` says whether it can be used. */
export function blobsAt(place: string): BlobStore {
  return place.startsWith('s3:') ? new S3Blobs(place) : new FileBlobs(place)
}
