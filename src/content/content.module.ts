import { Module, type OnApplicationShutdown } from '@nestjs/common'
import { CqrsModule, EventsHandler, type IEventHandler } from '@nestjs/cqrs'
import { Forgotten } from '../mailbox/commands.js'
import { Platform } from '../platform/platform.js'
import { FileBlobs } from './blob-store.js'
import { Intake } from './intake.js'
import { PassingContent } from './passing-content.js'

@EventsHandler(Forgotten)
class DropForgotten implements IEventHandler<Forgotten> {
  constructor(private readonly passing: PassingContent) {}

  handle({ messages }: Forgotten): void {
    this.passing.drop(messages)
  }
}

/** Raw messages: those that are kept, and those that only pass. */
@Module({
  imports: [CqrsModule],
  providers: [
    { provide: FileBlobs, inject: [Platform], useFactory: ({ blobFolder }: Platform) => new FileBlobs(blobFolder) },
    { provide: Intake, inject: [Platform], useFactory: ({ blobFolder }: Platform) => new Intake(blobFolder) },
    PassingContent,
    DropForgotten,
  ],
  exports: [FileBlobs, Intake, PassingContent],
})
export class ContentModule implements OnApplicationShutdown {
  constructor(private readonly intake: Intake) {}

  /** After all work was put down: what is being taken in until then is. */
  async onApplicationShutdown(): Promise<void> {
    await this.intake.close()
  }
}
