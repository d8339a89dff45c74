import { Module } from '@nestjs/common'
import { CqrsModule } from '@nestjs/cqrs'
import { ContentModule } from '../content/content.module.js'
import { AppendedContents } from './appended-contents.js'
import { CHANGE_MAIL } from './change-mail.js'
import { ChangeModelHandler } from './change-model.js'
import { ChangeCredentialsHandler, ConnectAccountHandler } from './connect-account.js'
import { OPERATION_HANDLERS } from './disconnected/operation-handlers.js'
import { SELECTION_HANDLERS } from './disconnected/selection-handlers.js'
import { DISCONNECTED_SETTINGS } from './disconnected/settings-handlers.js'
import { DeleteCandidatesHandler } from './online/candidate-handlers.js'
import { SearchServerHandler } from './online/search-handler.js'
import { AskServerHandler, ServerQuestions } from './online/server-questions.js'
import { SESSION_HANDLERS } from './online/session-handlers.js'
import { Sessions } from './online/sessions.js'
import { ImportMessagesHandler } from './offline/import-mail.js'
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
    AppendedContents,
    ...CHANGE_MAIL,
    ...OPERATION_HANDLERS,
    ...DISCONNECTED_SETTINGS,
    ...SELECTION_HANDLERS,
    ...SESSION_HANDLERS,
    DeleteCandidatesHandler,
    ChangeModelHandler,
    ServerQuestions,
    AskServerHandler,
    SearchServerHandler,
  ],
  exports: [ContentModule, Sessions, ServerQuestions],
})
export class AccessModelsModule {}
