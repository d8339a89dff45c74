import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import S3rver from 's3rver'
import { freePorts } from './imap-server.ts'

/** The keys that the server knows. */
const KEY = 'S3RVER'

/** An S3 on this machine, with one bucket. */
export class S3 {
  private server: Server | null = null
  private readonly folder: string
  private readonly port: number

  private constructor(folder: string, port: number) {
    this.folder = folder
    this.port = port
  }

  static async start(): Promise<S3> {
    const [port = 0] = await freePorts(1)
    const s3 = new S3(await mkdtemp(join(tmpdir(), 'mailfold-s3-')), port)
    await s3.comeBack()
    return s3
  }

  /** What the service is to be told of it, and by what keys. */
  get environment(): Record<string, string> {
    return {
      MAILFOLD_BLOBS: 's3://mail/raw',
      AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${this.port}`,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: KEY,
      AWS_SECRET_ACCESS_KEY: KEY,
    }
  }

  /** The names of all objects. */
  async names(): Promise<string[]> {
    const files = await readdir(join(this.folder, 'mail', 'raw')).catch(() => [])
    return files.flatMap((file) => /^([0-9a-f]{64})\._S3rver_object$/.exec(file)?.[1] ?? []).sort()
  }

  /** It is not there for a while. */
  async goAway(): Promise<void> {
    const { server } = this
    this.server = null
    if (!server) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }

  async comeBack(): Promise<void> {
    const buckets = [{ name: 'mail', configs: [] }]
    const s3 = new S3rver({ directory: this.folder, silent: true, configureBuckets: buckets })
    await s3.configureBuckets()
    this.server = createServer(s3.callback()).listen(this.port, '127.0.0.1')
    await once(this.server, 'listening')
  }

  async stop(): Promise<void> {
    await this.goAway()
    await rm(this.folder, { recursive: true, force: true })
  }
}
