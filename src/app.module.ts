import { Module, type DynamicModule } from '@nestjs/common'
import { CqrsModule } from '@nestjs/cqrs'
import { AccessModelsModule } from './access-models/access-models.module.js'
import { ApiModule } from './api/api.module.js'
import { EventStoreModule } from './event-store/event-store.module.js'
import { ForgettingModule } from './forgetting/forgetting.module.js'
import { Platform } from './platform/platform.js'
import { PlatformModule } from './platform/platform.module.js'
import { CoreProjection } from './projections/core-projection.js'
import { JobQueues } from './queues/job-queues.js'
import { QueuesModule } from './queues/queues.module.js'
import { ShardWorkers } from './queues/shard-workers.js'

/** The service in one process: for clients, for mail servers, or for both, as MAILFOLD_ROLES says. */
@Module({})
export class AppModule {
  static on(platform: Platform): DynamicModule {
    const { MAILFOLD_ROLES: roles } = platform.settings
    const isWorker = roles.includes('worker')
    const queues = QueuesModule.with(isWorker)
    return {
      module: AppModule,
      imports: [
        CqrsModule.forRoot(),
        PlatformModule.of(platform),
        EventStoreModule.with(new CoreProjection()),
        AccessModelsModule,
        queues,
        ForgettingModule,
        ApiModule.with({
          imports: [queues],
          readiness: isWorker ? ShardWorkers : JobQueues,
          isForClients: roles.includes('api'),
        }),
      ],
    }
  }
}
