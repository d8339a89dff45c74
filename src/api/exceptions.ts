import { Catch, type ArgumentsHost } from '@nestjs/common'
import { BaseExceptionFilter } from '@nestjs/core'

/** Passes on what resolvers throw, for the driver to tell or to report: Nest would log an error for each wrong argument. */
@Catch()
export class Exceptions extends BaseExceptionFilter {
  override catch(exception: unknown, host: ArgumentsHost): void {
    if (host.getType<string>() === 'graphql') throw exception
    super.catch(exception, host)
  }
}
