/* Bull Board, for operators, on both stores of the queues. */
import { OwnServices } from './support/own-services.ts'
import { Service } from './support/service.ts'

let own: OwnServices
beforeAll(async () => {
  own = await OwnServices.start()
})
afterAll(() => own?.stop())

test.each([
  ['Redis', () => own.environment],
  ['Postgres', () => ({})],
])('shows the queues on %s to who has the token, and nobody else', async (_, environment) => {
  const service = await Service.start({ ...environment(), MAILFOLD_QUEUE_BOARD: 'true', MAILFOLD_SHARDS: '2' })
  try {
    const look = (path: string, authorization = '') => fetch(`${service.url}${path}`, { headers: { authorization } })
    const basic = (password: string) => `Basic ${Buffer.from(`operator:${password}`).toString('base64')}`
    for (const wrong of ['', basic('another'), 'Bearer another']) {
      const refused = await look('/queues/api/queues', wrong)
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="Mailfold"'])
    }
    const page = await look('/queues', basic(service.token))
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('Mailfold: queues')])
    const { queues } = (await (await look('/queues/api/queues', `Bearer ${service.token}`)).json()) as {
      queues: { name: string }[]
    }
    const models = ['online', 'disconnected', 'offline']
    const expected = ['housekeeping', ...models.flatMap((model) => [`${model}.s00`, `${model}.s01`])]
    expect(queues.map(({ name }) => name).sort()).toEqual(expected.sort())
  } finally {
    await service?.stop()
  }
})

test('is not there where nobody has asked for it', async () => {
  const service = await Service.start()
  try {
    expect((await service.fetch('/queues')).status).toBe(404)
  } finally {
    await service?.stop()
  }
})
