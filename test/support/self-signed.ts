import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, type Server, type TLSSocket } from 'node:tls'

/** A certificate that nobody else vouches for. */
export type SelfSigned = { key: Buffer; cert: Buffer; fingerprint: string }

/** A self-signed certificate in front of a mail server that speaks plain text. */
export class SelfSignedFront {
  /** what clients have sent */
  heard = ''
  private readonly sockets = new Set<TLSSocket>()

  private constructor(
    private readonly folder: string,
    private readonly server: Server,
    private current: SelfSigned,
  ) {}

  /** @param innerPort of the mail server, on this machine @param host whom the certificate is for */
  static async start(innerPort: number, host = 'localhost'): Promise<SelfSignedFront> {
    const folder = await mkdtemp(join(tmpdir(), 'mailfold-self-signed-'))
    const first = await makeCertificate(folder, host)
    const server = createServer({ key: first.key, cert: first.cert })
    const front = new SelfSignedFront(folder, server, first)
    server.on('tlsClientError', () => undefined)
    server.on('secureConnection', (socket) => {
      const inner = connect(innerPort, '127.0.0.1')
      front.sockets.add(socket)
      socket.on('data', (data: Buffer) => (front.heard += data.toString('latin1')))
      for (const each of [socket, inner]) each.on('error', () => undefined)
      socket.once('close', () => inner.destroy())
      socket.pipe(inner).pipe(socket)
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    return front
  }

  get port(): number {
    return (this.server.address() as { port: number }).port
  }

  /** The PEM file with the certificate. */
  get file(): string {
    return join(this.folder, 'certificate.pem')
  }

  /** SHA-256 of the certificate, in hexadecimal with colons. */
  get fingerprint(): string {
    return this.current.fingerprint
  }

  /** Shows a new certificate from now on, and ends the connections of before. */
  async renew(host = 'localhost'): Promise<void> {
    this.current = await makeCertificate(this.folder, host)
    this.server.setSecureContext({ key: this.current.key, cert: this.current.cert })
    for (const socket of this.sockets) socket.destroy()
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    this.server.close()
    await rm(this.folder, { recursive: true, force: true })
  }
}

async function makeCertificate(folder: string, host: string): Promise<SelfSigned> {
  const [keyFile, file] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const subject = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`]
  const files = ['-keyout', keyFile, '-out', file]
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...files, ...subject], { stdio: 'ignore' })
  const [key, cert] = await Promise.all([readFile(keyFile), readFile(file)])
  return { key, cert, fingerprint: new X509Certificate(cert).fingerprint256 }
}
