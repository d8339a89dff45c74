import { networkInterfaces } from 'node:os'

const ANY = new Set(['0.0.0.0', '::'])

/**
 * Where other processes reach this one, if nobody has said so: where it listens, and by its first address in the network where it listens on all.
 *
 * @param url of the listener
 */
export function ownAddress(url: string): string {
  const { port } = new URL(url)
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '')
  if (!ANY.has(host)) return url
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  const outer = addresses.find(({ internal, family }) => !internal && family === 'IPv4')
  return `http://${outer?.address ?? '127.0.0.1'}:${port}`
}
