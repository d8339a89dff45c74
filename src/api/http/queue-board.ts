import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { FastifyAdapter } from '@bull-board/fastify'
import type { Queue } from 'bullmq'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { isAuthorized } from '../bearer.js'

/** Where the board is. */
const PATH = '/queues'

/**
 * Serves Bull Board, which shows operators the queues and their jobs. A browser asks for a password, which is the API's token, with any name.
 *
 * @param queues those that there are now
 */
export async function serveQueueBoard(
  server: FastifyInstance,
  token: string,
  queues: () => readonly Queue[],
): Promise<void> {
  const pages = new FastifyAdapter()
  pages.setBasePath(PATH)
  const board = createBullBoard({
    queues: [],
    serverAdapter: pages,
    options: { uiConfig: { boardTitle: 'Mailfold: queues', hideRedisDetails: true } },
  })
  let shown = 0
  await server.register(async (scope: FastifyInstance) => {
    scope.addHook('onRequest', async (request, reply) => {
      if (!mayLook(request.headers.authorization, token)) return ask(reply)
      const now = queues()
      // how many there are changes with the shards
      if (now.length !== shown) board.setQueues(now.map((queue) => new BullMQAdapter(queue)))
      shown = now.length
    })
    await scope.register(pages.registerPlugin(), { prefix: PATH })
  })
}

/** By a bearer token, or by it as the password of a browser (RFC 7617). */
function mayLook(header: string | undefined, token: string): boolean {
  const basic = /^Basic +(\S+)$/i.exec(header ?? '')?.[1]
  if (basic === undefined) return isAuthorized(header, token)
  const [, ...password] = Buffer.from(basic, 'base64').toString().split(':')
  return isAuthorized(`Bearer ${password.join(':')}`, token)
}

function ask(reply: FastifyReply): FastifyReply {
  return reply
    .code(401)
    .header('www-authenticate', 'Basic realm="Mailfold"')
    .send('The token is needed, as the password.')
}
