import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common'
import { setTimeout as sleep } from 'node:timers/promises'
import { markForRemoval, removeMarked } from '../content/blobs/blob-removal.js'
import { BlobStore } from '../content/blobs/blob-store.js'
import { Platform } from '../platform/platform.js'
import { viewReferredTo } from '../projections/content-views.js'
import { unreferredBlobs } from './unreferred-blobs.js'

/** Milliseconds between two looks for marks. */
const LOOK = 500
/** Milliseconds after a blob could not be removed, and the longest such pause. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [1_000, 60_000]
/** Milliseconds between two sweeps. */
const SWEEP_INTERVAL = 24 * 3_600_000
/** Milliseconds that a blob may be here before something refers to it. */
const GRACE = 10 * 60_000

/**
 * Removes, in the background, the blobs that are marked; what is cut off goes on at the next start. At the start and every day it marks those to which nothing
 * refers, and which nobody has marked. Several processes do that in turns.
 */
@Injectable()
export class BlobRemover implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly stopped = new AbortController()
  private working: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly platform: Platform,
    private readonly blobs: BlobStore,
  ) {}

  onApplicationBootstrap(): void {
    this.working = Promise.all([this.removeForEver(), this.sweepForEver()])
  }

  async onModuleDestroy(): Promise<void> {
    this.stopped.abort()
    await this.working
  }

  private get isStopped(): boolean {
    return this.stopped.signal.aborted
  }

  private async removeForEver(): Promise<void> {
    let failures = 0
    while (!this.isStopped) {
      const error = await this.removeAll().catch((thrown: Error) => thrown)
      failures = error === null ? 0 : failures + 1
      if (error !== null && !this.isStopped)
        this.platform.logger.warn({ err: error }, 'raw messages could not be removed; it is tried again')
      await this.pause(error === null ? LOOK : Math.min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE))
    }
  }

  /** @returns why a blob could not be removed; null where all were */
  private async removeAll(): Promise<Error | null> {
    const failed = new Set<string>()
    let error: Error | null = null
    while (!this.isStopped) {
      const round = await removeMarked(this.platform.database, this.blobs, viewReferredTo, failed)
      for (const sha256 of round.failed) failed.add(sha256)
      error ??= round.error
      if (!round.isMore) break
      // another process removes, or somebody holds what is left
      if (round.removed === 0) await this.pause(LOOK)
    }
    return error
  }

  private async sweepForEver(): Promise<void> {
    while (!this.isStopped) {
      const { logger } = this.platform
      const count = await this.sweep().catch((error: unknown) => {
        if (!this.isStopped)
          logger.warn({ err: error }, 'it could not be looked for raw messages that nothing refers to')
        return 0
      })
      if (count > 0) logger.warn({ count }, 'raw messages to which nothing refers are removed')
      await this.pause(SWEEP_INTERVAL)
    }
  }

  /** Marks what nothing refers to. @returns how many blobs that are */
  private async sweep(): Promise<number> {
    const { database } = this.platform
    let count = 0
    for await (const found of unreferredBlobs(database, this.blobs, new Date(Date.now() - GRACE))) {
      if (this.isStopped) break
      await markForRemoval(
        database.pool,
        found.map(({ sha256 }) => sha256),
      )
      count += found.length
    }
    return count
  }

  private async pause(length: number): Promise<void> {
    await sleep(length, undefined, { signal: this.stopped.signal, ref: false }).catch(() => undefined)
  }
}
