import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ServerSettings } from '../../mailbox/access-model.js'
import { ServerFailed } from '../../mailbox/failures.js'
import { certificateCheck, requireTrusted } from '../certificate-trust.js'
import { nameForTls, type DialPolicy } from '../dial.js'
import { failureOfPop3 } from './pop3-failures.js'

/** Opens the socket, and TLS on it where that comes first. @throws ServerFailed */
export async function dial(server: ServerSettings, address: string, policy: DialPolicy): Promise<Socket> {
  try {
    const options = { host: address, port: server.port, noDelay: true, keepAlive: true }
    const socket = connectPlain(options)
    await settled(socket, 'connect', policy.connectTimeout)
    return server.security === 'IMPLICIT_TLS' ? await secured(socket, server, policy) : socket
  } catch (error) {
    throw new ServerFailed(failureOfPop3(error, server, false))
  }
}

/** TLS on an open socket, with the server's certificate checked. @throws an error of Node's network or TLS */
export async function secured(socket: Socket, server: ServerSettings, policy: DialPolicy): Promise<Socket> {
  const { host } = server
  const servername = nameForTls(host)
  const wrapped = connectTls({
    ...{ socket, host, ...certificateCheck(server, policy.secureContext) },
    ...(servername === undefined ? {} : { servername }),
  })
  await settled(wrapped, 'secureConnect', policy.connectTimeout)
  try {
    requireTrusted(wrapped, server)
  } catch (error) {
    wrapped.destroy()
    throw error
  }
  return wrapped
}

async function settled(socket: Socket, event: 'connect' | 'secureConnect', patience: number): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(Object.assign(new Error('no connection in time'), { code: 'ETIMEDOUT' })),
        patience,
      )
      const end = (settle: () => void) => () => {
        clearTimeout(timer)
        settle()
      }
      socket.once(event, end(resolve))
      socket.once('error', (error) => end(() => reject(error))())
      socket.once(
        'close',
        end(() => reject(Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' }))),
      )
    })
  } catch (error) {
    socket.destroy()
    throw error
  }
  // an error that comes between two readers is told by the next answer
  socket.on('error', () => undefined)
}
