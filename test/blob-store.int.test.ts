/* What every store of raw messages promises, whatever it keeps them in. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { blobsAt } from '../src/content/blobs/open-blobs.js'
import type { BlobStore } from '../src/content/blobs/blob-store.js'
import { sha256 } from './support/maildrop.ts'
import { S3 } from './support/s3.ts'

const bytesOf = async (content: Readable) => Buffer.concat((await content.toArray()) as Buffer[])
const NOBODY = '0'.repeat(64)

let folder: string
let s3: S3

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mailfold-blobs-'))
  s3 = await S3.start()
  Object.assign(process.env, s3.environment)
})

afterAll(async () => {
  await s3?.stop()
  await rm(folder, { recursive: true, force: true })
})

describe.each([
  ['a folder', () => join(folder, 'blobs')],
  ['a bucket', () => 's3://mail/raw'],
  ['a bucket of its own', () => 's3://mail'],
])('blobs in %s', (_, place) => {
  let blobs: BlobStore

  beforeAll(async () => {
    blobs = blobsAt(place())
    await blobs.open()
  })

  test.each([0, 1, 5_000, 3_000_000])('%d bytes that come as a stream are there as they were', async (size) => {
    const content = randomBytes(size)
    const pieces = Array.from({ length: Math.ceil(size / 10_000) }, (__, at) =>
      content.subarray(at * 10_000, (at + 1) * 10_000),
    )
    const name = { sha256: sha256(content), size }
    expect(await blobs.put(Readable.from(pieces, { objectMode: false }))).toEqual(name)
    expect(await blobs.has(name.sha256)).toEqual(name)
    expect(sha256(await bytesOf(blobs.read(name.sha256)))).toBe(name.sha256)
  })

  test('a part of one is read without the rest', async () => {
    const content = randomBytes(100_000)
    const { sha256: name } = await blobs.put(Readable.from([content]))
    const part = async (start: number, end: number) => (await bytesOf(blobs.read(name, { start, end }))).toString('hex')
    expect(await part(0, 9)).toBe(content.subarray(0, 10).toString('hex'))
    expect(await part(70_000, 70_999)).toBe(content.subarray(70_000, 71_000).toString('hex'))
    expect(await part(99_990, 200_000)).toBe(content.subarray(99_990).toString('hex'))
  })

  test('many are kept at once, the same twice among them', async () => {
    const contents = Array.from({ length: 300 }, (__, index) => Buffer.from(`content ${index % 290}`))
    const { names, durable } = blobs.putMany(contents)
    await durable
    expect(names).toEqual(contents.map((content) => ({ sha256: sha256(content), size: content.length })))
    const all = names.map((name) => name.sha256)
    expect(await blobs.present([...all, NOBODY])).toEqual(new Set(all))
    expect((await bytesOf(blobs.read(all[299] ?? ''))).toString()).toBe('content 9')
  })

  test('one that is there already may come again', async () => {
    const content = Buffer.from('twice')
    for (let turn = 0; turn < 2; turn++) await blobs.put(Readable.from([content]))
    expect((await bytesOf(blobs.read(sha256(content)))).toString()).toBe('twice')
  })

  test('one that is removed is gone, and may be removed again', async () => {
    const { sha256: name } = await blobs.put(Readable.from([Buffer.from('to be removed')]))
    for (let turn = 0; turn < 2; turn++) expect(await blobs.remove([name])).toEqual({ gone: [name], error: null })
    expect(await blobs.has(name)).toBeNull()
    expect(await blobs.present([name])).toEqual(new Set())
    await expect(bytesOf(blobs.read(name))).rejects.toThrow()
  })

  test('all that are there are listed, each once, with their lengths', async () => {
    const contents = Array.from({ length: 20 }, () => randomBytes(100))
    const { names, durable } = blobs.putMany(contents)
    await durable
    const listed: string[] = []
    for await (const found of blobs.list())
      for (const { sha256: name, size, since } of found) {
        listed.push(name)
        expect([size, Date.now() - since.getTime() < 3_600_000]).toEqual([(await blobs.has(name))?.size, true])
      }
    expect(new Set(listed).size).toBe(listed.length)
    expect(listed).toEqual(expect.arrayContaining(names.map((name) => name.sha256)))
  })

  test('what breaks off while it comes is not there', async () => {
    async function* breaking() {
      yield Buffer.from('the beginning')
      await Promise.resolve()
      throw new Error('the connection broke')
    }
    await expect(blobs.put(Readable.from(breaking()))).rejects.toThrow('the connection broke')
    expect(await blobs.has(sha256(Buffer.from('the beginning')))).toBeNull()
  })
})

test('a bucket that is not there, or not for these keys, is said at once', async () => {
  await expect(blobsAt('s3://nowhere/raw').open()).rejects.toThrow(
    'MAILFOLD_BLOBS: s3://nowhere/raw cannot be used: there is no such bucket',
  )
  process.env['AWS_ACCESS_KEY_ID'] = 'NOBODY'
  await expect(blobsAt('s3://mail').open()).rejects.toThrow('the keys are not good for it')
  Object.assign(process.env, s3.environment)
})
