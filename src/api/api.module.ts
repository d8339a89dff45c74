import { Module, type DynamicModule, type ModuleMetadata } from '@nestjs/common'
import { APP_FILTER } from '@nestjs/core'
import { CqrsModule } from '@nestjs/cqrs'
import { GraphQLModule } from '@nestjs/graphql'
import { ContentModule } from '../content/content.module.js'
import { newFailureId } from '../platform/logs.js'
import { Platform } from '../platform/platform.js'
import { Clients } from './clients.js'
import { makeContext } from './context.js'
import { GraphQLDriver, type DriverOptions } from './graphql-driver.js'
import { Exceptions } from './exceptions.js'
import { FilesController } from './http/files.controller.js'
import { MetricsController } from './http/metrics.controller.js'
import { HealthController, WORK_READINESS } from './http/health.controller.js'
import { PeersController } from './http/peers.controller.js'
import { TransferController } from './http/transfer.controller.js'
import { MessageContents } from './message-content.js'
import { AccountResolver } from './resolvers/account.resolver.js'
import { ChangeResolver } from './resolvers/change.resolver.js'
import { ForgetResolver } from './resolvers/forget.resolver.js'
import { CandidateGroupResolver, CandidatesResolver } from './resolvers/candidate.resolver.js'
import { ChangedMessagesResolver, ChangeMailResolver } from './resolvers/change-mail.resolver.js'
import { AccountOperationsResolver, OperationResolver } from './resolvers/operation.resolver.js'
import { JobResolver } from './resolvers/job.resolver.js'
import { ModelResolver } from './resolvers/model.resolver.js'
import { OfflineResolver } from './resolvers/offline.resolver.js'
import { SearchResolver } from './resolvers/search.resolver.js'
import { SelectionResolver } from './resolvers/selection.resolver.js'
import { SyncResolver } from './resolvers/sync.resolver.js'
import { SessionResolver } from './resolvers/session.resolver.js'
import { DifferenceResolver, HistoryResolver } from './resolvers/history.resolver.js'
import { Nodes } from './nodes.js'
import { SCALARS } from './schema/date-time.js'
import { AccountMessagesResolver, MailboxResolver, MessageResolver } from './resolvers/message.resolver.js'
import { NodeResolver } from './resolvers/node.resolver.js'

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
  ChangedMessagesResolver,
  OperationResolver,
  AccountOperationsResolver,
  SelectionResolver,
  SyncResolver,
  SessionResolver,
  CandidatesResolver,
  CandidateGroupResolver,
  ModelResolver,
  SearchResolver,
  JobResolver,
]

/** What all that answers clients shares. */
@Module({
  providers: [
    {
      provide: Clients,
      inject: [Platform],
      useFactory: ({ settings }: Platform) =>
        new Clients({
          operations: settings.MAILFOLD_CLIENT_OPERATIONS,
          subscriptions: settings.MAILFOLD_CLIENT_SUBSCRIPTIONS,
        }),
    },
  ],
  exports: [Clients],
})
class ClientsModule {}

/** GraphQL over HTTP and WebSocket, files over HTTP, health. */
@Module({})
export class ApiModule {
  /**
   * @param work the module, and the provider in it, that tells whether jobs can be taken; and whether clients are answered, or only those who look
   * after the process, and other processes
   */
  static with(work: {
    imports: NonNullable<ModuleMetadata['imports']>
    readiness: new (...args: never[]) => { isReady: boolean }
    isForClients: boolean
  }): DynamicModule {
    const graphql = GraphQLModule.forRootAsync<DriverOptions>({
      driver: GraphQLDriver,
      inject: [Platform, Clients],
      imports: [ClientsModule],
      useFactory: ({ token, database, logger }: Platform, clients: Clients) => ({
        autoSchemaFile: true,
        sortSchema: true,
        buildSchemaOptions: { scalarsMap: SCALARS },
        token: token.value,
        clients,
        makeContext: (client, signal) => makeContext(database.reads, client, signal),
        report: (error) => {
          const failureId = newFailureId()
          logger.error({ err: error, failureId }, 'the API failed')
          return failureId
        },
      }),
    })
    const readiness = { provide: WORK_READINESS, useExisting: work.readiness }
    const forAll = [HealthController, MetricsController, PeersController]
    if (!work.isForClients)
      return {
        module: ApiModule,
        imports: [CqrsModule, ContentModule, ...work.imports],
        providers: [readiness],
        controllers: forAll,
      }
    return {
      module: ApiModule,
      imports: [CqrsModule, ContentModule, ClientsModule, graphql, ...work.imports],
      providers: [MessageContents, Nodes, ...RESOLVERS, readiness, { provide: APP_FILTER, useClass: Exceptions }],
      controllers: [FilesController, TransferController, ...forAll],
    }
  }
}
