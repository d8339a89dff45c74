import { Module, type DynamicModule } from '@nestjs/common'
import { CqrsModule } from '@nestjs/cqrs'
import { AccessModelsModule } from './access-models/access-models.module.js'
import { ApiModule } from './api/api.module.js'
import { EventStoreModule } from './event-store/event-store.module.js'
import { ForgettingModule } from './forgetting/forgetting.module.js'
import { Platform } from './platform/platform.js'
import { PlatformModule } from './platform/platform.module.js'
import { CoreProjection } from './projections/core-projection.js'
import { AccountQueues } from './queues/account-queues.js'
import { QueuesModule } from './queues/queues.module.js'

/** The whole service in one process: API and workers. */
@Module({})
export class AppModule {
  static on(platform: Platform): DynamicModule {
    return {
      module: AppModule,
      imports: [
        CqrsModule.forRoot(),
        PlatformModule.of(platform),
        EventStoreModule.with(new CoreProjection()),
        AccessModelsModule,
        QueuesModule,
        ForgettingModule,
        ApiModule.with({ imports: [QueuesModule], readiness: AccountQueues }),
      ],
    }
  }
}
