import { createCipheriv, createDecipheriv, createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { link, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { EXIT } from './exit-codes.js'
import { StartFailure } from './start-failure.js'
import { syncFolder } from './sync-folder.js'

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
  private readonly keys: readonly Buffer[]

  constructor({ current, before }: MasterKeys) {
    this.keys = [current.key, ...(before ? [before.key] : [])]
  }

  /** Seals a secret under a fresh key. @param check that of the master key that is to be used. @throws Error where none of the keys is that */
  seal(plain: string, context: string, check: Buffer): SealedSecret {
    const master = this.keys.find((each) => isOpened(each, check))
    if (!master) throw new Error('the master key was changed: this process has to be started with the new one')
    return sealWith(master, plain, context)
  }

  /** @throws Error when the secret was sealed with no key that is known, or the row was changed */
  open(secret: SealedSecret, context: string): string {
    const master = this.keys.find((each) => isOpened(each, secret.wrappedKey, context))
    if (!master) throw new Error('no key opens it')
    return unseal(unseal(master, secret.wrappedKey, context), secret.sealed, context).toString()
  }

  /** Whether a secret can be opened. */
  opens(secret: SealedSecret, context: string): boolean {
    try {
      this.open(secret, context)
      return true
    } catch {
      return false
    }
  }

  /** A secret, sealed with the current key; 'current' where it is already. */
  resealed(secret: SealedSecret, context: string): SealedSecret | 'current' | 'unreadable' {
    if (!this.opens(secret, context)) return 'unreadable'
    const [current] = this.keys as [Buffer]
    if (isOpened(current, secret.wrappedKey, context)) return 'current'
    return sealWith(current, this.open(secret, context), context)
  }
}

function sealWith(master: Buffer, plain: string, context: string): SealedSecret {
  const key = randomBytes(32)
  return { wrappedKey: seal(master, key, context), sealed: seal(key, Buffer.from(plain), context) }
}

/** What the check value of a master key is bound to. */
const CHECK = 'master key'

/** A value that only this master key opens. */
export function sealCheck(key: Buffer): Buffer {
  return seal(key, Buffer.from('mailfold'), CHECK)
}

/** Whether a key opens what was sealed. */
export function isOpened(key: Buffer, sealed: Buffer, context = CHECK): boolean {
  try {
    unseal(key, sealed, context)
    return true
  } catch {
    return false
  }
}

/** A master key, and where it is from: a setting, or a file. */
export type MasterKey = { key: Buffer; name: string }

/** The master key, and the one before it while credentials are sealed with either. */
export type MasterKeys = { current: MasterKey; before: MasterKey | null }

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

const keyPath = (folder: string) => join(folder, 'master.key')
const keyBeforePath = (folder: string) => join(folder, 'master.key.before')

/** The settings that name keys. */
type KeySettings = {
  MAILFOLD_DATA: string
  MAILFOLD_MASTER_KEY?: string | undefined
  MAILFOLD_MASTER_KEY_BEFORE?: string | undefined
}

/**
 * The master key, from the setting or from `master.key` in the data folder, and the one before it, from its setting or from `master.key.before`.
 *
 * @param mayMake whether the file may be made: a new key in the place of a lost one would open nothing
 * @throws StartFailure when a key file is missing, or does not hold a key
 */
export async function loadMasterKeys(settings: KeySettings, mayMake: boolean): Promise<MasterKeys> {
  const { MAILFOLD_DATA: folder, MAILFOLD_MASTER_KEY: setting, MAILFOLD_MASTER_KEY_BEFORE: settingBefore } = settings
  const inFile = setting === undefined ? await keyIn(keyPath(folder)) : null
  const before =
    settingBefore !== undefined
      ? keyOf(settingBefore, 'MAILFOLD_MASTER_KEY_BEFORE')
      : await keyIn(keyBeforePath(folder))
  if (setting !== undefined) return { current: keyOf(setting, 'MAILFOLD_MASTER_KEY'), before }
  if (inFile) return { current: inFile, before }
  if (!mayMake)
    throw new StartFailure(
      `${keyPath(folder)} is not there, and the credentials in the database are sealed with a master key: put it back, or set MAILFOLD_MASTER_KEY; where it is lost, run \`mailfold rotate-key --lost\``,
      EXIT.CONFIG,
    )
  const made = await readOrMake(keyPath(folder), newKey)
  return { current: keyOf(made.value, keyPath(folder)), before }
}

/**
 * Puts a new master key into its file, and keeps the one before beside it. What was cut off is gone on with: where there is a key before already, and
 * another one now, nothing is made.
 */
export async function renewKeyFile(folder: string): Promise<void> {
  const [path, pathBefore] = [keyPath(folder), keyBeforePath(folder)]
  const current = await keyIn(path)
  if (!current) return
  const before = await keyIn(pathBefore)
  if (before && !before.key.equals(current.key)) return
  if (!before) await link(path, pathBefore)
  const draft = `${path}.${randomBytes(4).toString('hex')}`
  const file = await open(draft, 'wx', 0o600)
  await file.writeFile(newKey() + '\n')
  await file.sync()
  await file.close()
  await rename(draft, path)
  await syncFolder(folder)
}

/** Removes the key before: nothing is sealed with it any more. */
export async function endKeyFiles(folder: string): Promise<void> {
  await rm(keyBeforePath(folder), { force: true })
}

const newKey = () => randomBytes(32).toString('hex')

async function keyIn(path: string): Promise<MasterKey | null> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return null
  })
  return text === null ? null : keyOf(text.trim(), path)
}

function keyOf(hex: string, name: string): MasterKey {
  if (!/^[0-9a-fA-F]{64}$/.test(hex))
    throw new StartFailure(`${name} does not hold a key of 64 hexadecimal digits`, EXIT.CONFIG)
  return { key: Buffer.from(hex, 'hex'), name }
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
