import { Module, type DynamicModule } from '@nestjs/common'
import { Platform } from './platform.js'

/** Gives every module the opened platform. */
@Module({})
export class PlatformModule {
  /** @param platform opened before the modules are made, and closed after them */
  static of(platform: Platform): DynamicModule {
    return {
      module: PlatformModule,
      global: true,
      providers: [{ provide: Platform, useValue: platform }],
      exports: [Platform],
    }
  }
}
