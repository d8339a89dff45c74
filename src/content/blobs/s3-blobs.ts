import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { GetObjectCommandInput, PutObjectCommandInput, S3Client } from '@aws-sdk/client-s3'
import pLimit from 'p-limit'
import type { ByteRange } from '../../mailbox/content-piece.js'
import { StartFailure } from '../../platform/start-failure.js'
import { blobNameOf, BlobsAway, BlobStore, type BlobName, type Removed, type StoredBlob } from './blob-store.js'
import { Incoming } from './incoming.js'

/** Requests that one call has under way at once. */
const AT_ONCE = 32

/** Milliseconds until a connection is made, and between two pieces of what comes. */
const [CONNECT_TIMEOUT, SILENCE_TIMEOUT] = [5_000, 30_000]

type Sdk = typeof import('@aws-sdk/client-s3')
type Connected = { sdk: Sdk; client: S3Client }

/**
 * Blobs as objects of a bucket, for several hosts. Where the S3 is, and as whom it is asked, is said to the AWS SDK in its own ways:
 * `AWS_REGION`, `AWS_ENDPOINT_URL_S3` for one that is not Amazon's, `AWS_ACCESS_KEY_ID`, and so on.
 */
export class S3Blobs extends BlobStore {
  private readonly bucket: string
  private readonly prefix: string
  private readonly incoming = new Incoming(join(tmpdir(), 'mailfold-incoming'))
  private connected: Promise<Connected> | null = null

  /** @param place `s3://bucket` or `s3://bucket/prefix` */
  constructor(private readonly place: string) {
    super()
    const [bucket = '', ...path] = place.slice('s3://'.length).split('/')
    this.bucket = bucket
    this.prefix = path.filter((part) => part !== '').join('/')
  }

  async open(): Promise<void> {
    await this.incoming.open()
    const { sdk, client } = await this.connection()
    try {
      await client.send(new sdk.HeadBucketCommand({ Bucket: this.bucket }))
    } catch (error) {
      throw new StartFailure(`MAILFOLD_BLOBS: ${this.place} cannot be used: ${reasonOf(error)}`)
    }
  }

  /** Its name has to be known before it is sent: until then its bytes are in a file. */
  async put(content: Readable): Promise<BlobName> {
    const { path, name } = await this.incoming.receive(content, false)
    try {
      await this.send(name, createReadStream(path))
      return name
    } finally {
      await rm(path, { force: true })
    }
  }

  putMany(contents: readonly Buffer[]): { names: BlobName[]; durable: Promise<void> } {
    const names = contents.map(blobNameOf)
    const limit = pLimit(AT_ONCE)
    const sent = names.map((name, index) => limit(() => this.send(name, contents[index] as Buffer)))
    return { names, durable: Promise.all(sent).then(() => undefined) }
  }

  read(sha256: string, range?: ByteRange): Readable {
    return Readable.from(this.bytes(sha256, range), { objectMode: false })
  }

  has(sha256: string): Promise<BlobName | null> {
    return this.ask(async ({ sdk, client }) => {
      try {
        const { ContentLength } = await client.send(new sdk.HeadObjectCommand(this.object(sha256)))
        return { sha256, size: ContentLength ?? 0 }
      } catch (error) {
        if (error instanceof sdk.NotFound) return null
        throw error
      }
    })
  }

  async present(sha256s: readonly string[]): Promise<ReadonlySet<string>> {
    const limit = pLimit(AT_ONCE)
    const found = await Promise.all(sha256s.map((sha256) => limit(() => this.has(sha256))))
    return new Set(found.flatMap((blob) => blob?.sha256 ?? []))
  }

  /** One by one: not every S3 can be told of many at once. */
  async remove(sha256s: readonly string[]): Promise<Removed> {
    const limit = pLimit(AT_ONCE)
    const gone: string[] = []
    let error: Error | null = null
    const remove = async (sha256: string) => {
      await this.ask(({ sdk, client }) => client.send(new sdk.DeleteObjectCommand(this.object(sha256))))
      gone.push(sha256)
    }
    await Promise.all(sha256s.map((sha256) => limit(() => remove(sha256).catch((failure: Error) => (error = failure)))))
    return { gone, error }
  }

  async *list(): AsyncGenerator<StoredBlob[]> {
    const input = { Bucket: this.bucket, Prefix: this.prefix === '' ? '' : `${this.prefix}/` }
    let ContinuationToken: string | undefined
    do {
      const page = await this.ask(({ sdk, client }) =>
        client.send(new sdk.ListObjectsV2Command({ ...input, ...(ContinuationToken ? { ContinuationToken } : {}) })),
      )
      yield (page.Contents ?? []).flatMap(({ Key = '', Size = 0, LastModified = new Date() }) => {
        const sha256 = Key.slice(input.Prefix.length)
        return /^[0-9a-f]{64}$/.test(sha256) ? [{ sha256, size: Size, since: LastModified }] : []
      })
      ContinuationToken = page.NextContinuationToken
    } while (ContinuationToken !== undefined)
  }

  private async *bytes(sha256: string, range?: ByteRange): AsyncGenerator<Buffer> {
    const input: GetObjectCommandInput = this.object(sha256)
    if (range) input.Range = `bytes=${range.start}-${range.end}`
    const { Body } = await this.ask(({ sdk, client }) => client.send(new sdk.GetObjectCommand(input)))
    yield* Body as Readable
  }

  /** S3 refuses what does not come to it as it is named. */
  private async send({ sha256, size }: BlobName, body: Buffer | Readable): Promise<void> {
    const ChecksumSHA256 = Buffer.from(sha256, 'hex').toString('base64')
    const input: PutObjectCommandInput = { ...this.object(sha256), ContentLength: size, ChecksumSHA256, Body: body }
    await this.ask(({ sdk, client }) => client.send(new sdk.PutObjectCommand(input)))
  }

  private object(sha256: string): { Bucket: string; Key: string } {
    return { Bucket: this.bucket, Key: this.prefix === '' ? sha256 : `${this.prefix}/${sha256}` }
  }

  /** @throws BlobsAway, but what S3 says of an object that is not there */
  private async ask<T>(request: (connected: Connected) => Promise<T>): Promise<T> {
    const connected = await this.connection()
    try {
      return await request(connected)
    } catch (error) {
      if (error instanceof connected.sdk.NoSuchKey) throw error
      throw new BlobsAway(`${this.place}: ${reasonOf(error)}`, { cause: error })
    }
  }

  /** The SDK is loaded where there is an S3, and only there. */
  private connection(): Promise<Connected> {
    this.connected ??= import('@aws-sdk/client-s3').then((sdk) => ({ sdk, client: connect(sdk) }))
    return this.connected
  }
}

function connect({ S3Client }: Sdk): S3Client {
  const { AWS_ENDPOINT_URL_S3: ofS3, AWS_ENDPOINT_URL: ofAll } = process.env
  return new S3Client({
    // others than Amazon have no host of its own for each bucket
    forcePathStyle: Boolean(ofS3 ?? ofAll),
    // the SHA-256 is the checksum; the SDK's own is in a form that not all others understand
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // one that says nothing more would be waited for without an end
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT, socketTimeout: SILENCE_TIMEOUT },
  })
}

/** What an S3 says; for a HEAD it says no more than a number. */
function reasonOf(error: unknown): string {
  const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } }
  const status = $metadata?.httpStatusCode
  if (status === 404) return 'there is no such bucket'
  if (status === 403) return 'the keys are not good for it'
  return `${name}${message && message !== name ? `: ${message}` : ''}`
}
