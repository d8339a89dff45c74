import { Module } from '@nestjs/common'
import { Platform } from '../platform/platform.js'
import { FileBlobs } from './blob-store.js'
import { PassingContent } from './passing-content.js'

/** Raw messages: those that are kept, and those that only pass. */
@Module({
  providers: [
    { provide: FileBlobs, inject: [Platform], useFactory: ({ blobFolder }: Platform) => new FileBlobs(blobFolder) },
    PassingContent,
  ],
  exports: [FileBlobs, PassingContent],
})
export class ContentModule {}
