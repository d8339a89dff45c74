import { Module, type OnApplicationShutdown } from '@nestjs/common'
import { CqrsModule, EventsHandler, type IEventHandler } from '@nestjs/cqrs'
import { Forgotten } from '../mailbox/commands.js'
import { Platform } from '../platform/platform.js'
import { BlobStore } from './blobs/blob-store.js'
import { Intake } from './intake.js'
import { blobPlace, blobsAt } from './blobs/open-blobs.js'
import { PassingContent } from './passing-content.js'

@EventsHandler(Forgotten)
class DropForgotten implements IEventHandler<Forgotten> {
  constructor(private readonly passing: PassingContent) {}

  handle({ messages }: Forgotten): void {
    this.passing.drop(messages)
  }
}

async function openBlobs({ settings }: Platform): Promise<BlobStore> {
  const blobs = blobsAt(blobPlace(settings))
  await blobs.open()
  return blobs
}

/** Raw messages: those that are kept, and those that only pass. */
@Module({
  imports: [CqrsModule],
  providers: [
    { provide: BlobStore, inject: [Platform], useFactory: openBlobs },
    { provide: Intake, inject: [Platform], useFactory: ({ settings }: Platform) => new Intake(blobPlace(settings)) },
    PassingContent,
    DropForgotten,
  ],
  exports: [BlobStore, Intake, PassingContent],
})
export class ContentModule implements OnApplicationShutdown {
  constructor(private readonly intake: Intake) {}

  /** After all work was put down: what is being taken in until then is. */
  async onApplicationShutdown(): Promise<void> {
    await this.intake.close()
  }
}
