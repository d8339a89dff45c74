import { Module } from '@nestjs/common'
import { CqrsModule } from '@nestjs/cqrs'
import { ContentModule } from '../content/content.module.js'
import { ChangeCredentialsHandler, ConnectAccountHandler } from './connect-account.js'
import { ImportMessagesHandler } from './offline/import-mail.js'
import { LOCAL_WORK } from './offline/local-work.js'
import { SetCollectionHandler, SetDeletionPolicyHandler } from './offline/settings-handlers.js'

/** What is done for an account, by its access model. The homes themselves are made by the queues, which ask for jobs. */
@Module({
  imports: [CqrsModule, ContentModule],
  providers: [
    ConnectAccountHandler,
    ChangeCredentialsHandler,
    SetDeletionPolicyHandler,
    SetCollectionHandler,
    ImportMessagesHandler,
    ...LOCAL_WORK,
  ],
  exports: [ContentModule],
})
export class AccessModelsModule {}
