import { connect } from 'node:net'
import { PASSWORD } from '../test/support/imap-server.ts'

/** The floor: a socket that asks for every message at once, and throws the answers away. @returns bytes that came */
export async function drainPop3(port: number, user: string, count: number): Promise<number> {
  const socket = connect(port, '127.0.0.1')
  socket.setNoDelay(true)
  await new Promise((done) => socket.once('data', done))
  let bytes = 0
  let tail = ''
  const ended = new Promise<void>((done) => {
    socket.on('data', (data: Buffer) => {
      bytes += data.length
      tail = (tail + data.subarray(-200).toString('latin1')).slice(-200)
      if (tail.includes('+OK Logging out')) done()
    })
  })
  socket.write(`USER ${user}\r\nPASS ${PASSWORD}\r\nUIDL\r\n`)
  socket.write(Array.from({ length: count }, (_, index) => `RETR ${index + 1}\r\n`).join('') + 'QUIT\r\n')
  await ended
  socket.destroy()
  return bytes
}
