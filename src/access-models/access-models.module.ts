import { Module } from '@nestjs/common'
import { CqrsModule } from '@nestjs/cqrs'
import { ContentModule } from '../content/content.module.js'
import { ChangeCredentialsHandler, ConnectAccountHandler } from './connect-account.js'

/** What is done for an account, by its access model. The homes themselves are made by the queues, which ask for jobs. */
@Module({
  imports: [CqrsModule, ContentModule],
  providers: [ConnectAccountHandler, ChangeCredentialsHandler],
  exports: [ContentModule],
})
export class AccessModelsModule {}
