import { Module, type OnApplicationBootstrap } from '@nestjs/common'
import { CqrsModule } from '@nestjs/cqrs'
import { removeMarked } from '../content/blobs/blob-removal.js'
import { BlobStore } from '../content/blobs/blob-store.js'
import { ContentModule } from '../content/content.module.js'
import { Platform } from '../platform/platform.js'
import { isReferredTo } from '../projections/content-views.js'
import { ForgetAccountHandler, ForgetMessageHandler } from './forget-handlers.js'

/** How messages and accounts are forgotten. */
@Module({ imports: [CqrsModule, ContentModule], providers: [ForgetMessageHandler, ForgetAccountHandler] })
export class ForgettingModule implements OnApplicationBootstrap {
  constructor(
    private readonly platform: Platform,
    private readonly blobs: BlobStore,
  ) {}

  /** What a forgetting that was cut off has left. */
  async onApplicationBootstrap(): Promise<void> {
    await removeMarked(this.platform.database, this.blobs, isReferredTo)
  }
}
