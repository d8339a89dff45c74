import { Module, type DynamicModule, type ModuleMetadata } from '@nestjs/common'
import { CqrsModule } from '@nestjs/cqrs'
import { GraphQLModule } from '@nestjs/graphql'
import { ContentModule } from '../content/content.module.js'
import { Platform } from '../platform/platform.js'
import { makeContext } from './context.js'
import { GraphQLDriver, type DriverOptions } from './graphql-driver.js'
import { FilesController } from './http/files.controller.js'
import { HealthController, WORK_READINESS } from './http/health.controller.js'
import { TransferController } from './http/transfer.controller.js'
import { MessageContents } from './message-content.js'
import { AccountResolver } from './resolvers/account.resolver.js'
import { ChangeResolver } from './resolvers/change.resolver.js'
import { ForgetResolver } from './resolvers/forget.resolver.js'
import { ChangeMailResolver } from './resolvers/change-mail.resolver.js'
import { AccountOperationsResolver, OperationResolver } from './resolvers/operation.resolver.js'
import { OfflineResolver } from './resolvers/offline.resolver.js'
import { SelectionResolver } from './resolvers/selection.resolver.js'
import { DifferenceResolver, HistoryResolver } from './resolvers/history.resolver.js'
import { Nodes } from './nodes.js'
import {
  AccountMessagesResolver,
  MailboxResolver,
  MessageResolver,
  NodeResolver,
} from './resolvers/message.resolver.js'

/** Every resolver; the committed schema is made from these. */
export const RESOLVERS = [
  AccountResolver,
  AccountMessagesResolver,
  MailboxResolver,
  MessageResolver,
  NodeResolver,
  ChangeResolver,
  HistoryResolver,
  DifferenceResolver,
  ForgetResolver,
  OfflineResolver,
  ChangeMailResolver,
  OperationResolver,
  AccountOperationsResolver,
  SelectionResolver,
]

/** GraphQL over HTTP and WebSocket, files over HTTP, health. */
@Module({})
export class ApiModule {
  /** @param work the module, and the provider in it, that tells whether jobs can be taken */
  static with(work: {
    imports: NonNullable<ModuleMetadata['imports']>
    readiness: new (...args: never[]) => { isReady: boolean }
  }): DynamicModule {
    const graphql = GraphQLModule.forRootAsync<DriverOptions>({
      driver: GraphQLDriver,
      inject: [Platform],
      useFactory: ({ token, database, logger }: Platform) => ({
        autoSchemaFile: true,
        sortSchema: true,
        token: token.value,
        makeContext: (signal) => makeContext(database.pool, signal),
        report: (error) => logger.error({ err: error }, 'the API failed'),
      }),
    })
    return {
      module: ApiModule,
      imports: [CqrsModule, ContentModule, graphql, ...work.imports],
      providers: [MessageContents, Nodes, ...RESOLVERS, { provide: WORK_READINESS, useExisting: work.readiness }],
      controllers: [FilesController, TransferController, HealthController],
    }
  }
}
