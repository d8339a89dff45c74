import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'

/** What another process answered that was not what was asked of it. */
export class PeerFailed extends Error {}

/** Asks other processes of the installation, by HTTP and with the token that they all have. */
export class Peers {
  constructor(private readonly token: string) {}

  /** Asks for an answer in JSON. @throws PeerFailed */
  async ask(address: string, path: string, body: object, signal: AbortSignal): Promise<unknown> {
    return (await this.post(address, path, body, signal)).json()
  }

  /** Asks for bytes. @throws PeerFailed */
  async bytes(address: string, path: string, body: object, signal: AbortSignal): Promise<Readable> {
    const response = await this.post(address, path, body, signal)
    return Readable.fromWeb(response.body as ReadableStream)
  }

  private async post(address: string, path: string, body: object, signal: AbortSignal): Promise<Response> {
    const headers = { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' }
    const request = { method: 'POST', headers, body: JSON.stringify(body), signal }
    const response = await fetch(new URL(path, address), request).catch((error: Error) => {
      throw new PeerFailed(`another process cannot be reached: ${error.message}`)
    })
    if (response.ok) return response
    await response.body?.cancel()
    throw new PeerFailed(`another process answered with ${response.status}`)
  }
}
