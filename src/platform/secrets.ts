import { createCipheriv, createDecipheriv, createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { link, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { EXIT } from './exit-codes.js'
import { StartFailure } from './start-failure.js'

/** A secret as it is stored: sealed with a key of its own, which the master key seals in turn (AES-256-GCM, both). */
export type SealedSecret = { wrappedKey: Buffer; sealed: Buffer }

const NONCE_BYTES = 12
const TAG_BYTES = 16

function seal(key: Buffer, plain: Buffer, context: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(Buffer.from(context))
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

function unseal(key: Buffer, sealed: Buffer, context: string): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES))
  decipher.setAAD(Buffer.from(context))
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
}

/** Seals and opens credentials. The context (an account's id) is bound in: a row copied to another account won't open. */
export class SecretBox {
  constructor(private readonly masterKey: Buffer) {}

  /** Seals a secret under a fresh key. */
  seal(plain: string, context: string): SealedSecret {
    const key = randomBytes(32)
    return { wrappedKey: seal(this.masterKey, key, context), sealed: seal(key, Buffer.from(plain), context) }
  }

  /** @throws Error when the master key is not the one it was sealed with, or the row was changed */
  open(secret: SealedSecret, context: string): string {
    return unseal(unseal(this.masterKey, secret.wrappedKey, context), secret.sealed, context).toString()
  }
}

/** Reads a secret file, or makes it with mode 0600; says which of the two it was. */
async function readOrMake(path: string, make: () => string): Promise<{ value: string; made: boolean }> {
  const known = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return null
  })
  if (known !== null) return { value: known.trim(), made: false }
  const value = make()
  // whole or not at all: another process may start on the same folder now
  const draft = `${path}.${randomBytes(4).toString('hex')}`
  try {
    const file = await open(draft, 'wx', 0o600)
    await file.writeFile(value + '\n')
    await file.sync()
    await file.close()
    await link(draft, path)
    return { value, made: true }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return { value: (await readFile(path, 'utf8')).trim(), made: false }
  } finally {
    await rm(draft, { force: true })
  }
}

/**
 * The master key, from the setting or from `master.key` in the data folder, which is made at the first start.
 *
 * @throws StartFailure when the key file does not hold a key: a new one in its place would lose every credential
 */
export async function loadMasterKey(folder: string, setting: string | undefined): Promise<Buffer> {
  const path = join(folder, 'master.key')
  const hex = setting ?? (await readOrMake(path, () => randomBytes(32).toString('hex'))).value
  if (!/^[0-9a-fA-F]{64}$/.test(hex))
    throw new StartFailure(`${path} does not hold a key of 64 hexadecimal digits`, EXIT.CONFIG)
  return Buffer.from(hex, 'hex')
}

/** The API's bearer token, from the setting or from `token` in the data folder; `made` tells whether it is to be shown. */
export async function loadToken(
  folder: string,
  setting: string | undefined,
): Promise<{ value: string; made: boolean }> {
  if (setting) return { value: setting, made: false }
  return readOrMake(join(folder, 'token'), () => `mf_${randomBytes(24).toString('base64url')}`)
}

/** Compares a presented token in a time that does not tell how much of it was right. */
export function tokensMatch(presented: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(presented), digest(expected))
}
