import { Module } from '@nestjs/common'
import { CqrsModule } from '@nestjs/cqrs'
import { ContentModule } from '../content/content.module.js'
import { BlobRemover } from './blob-remover.js'
import { ForgetAccountHandler, ForgetMessageHandler } from './forget-handlers.js'

/** How messages and accounts are forgotten, and how raw messages go to which nothing refers. */
@Module({ imports: [CqrsModule, ContentModule], providers: [ForgetMessageHandler, ForgetAccountHandler, BlobRemover] })
export class ForgettingModule {}
