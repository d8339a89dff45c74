import { Shares, Turns } from './turns.js'

test('clients take turns, and each turn is one of the event loop', async () => {
  const turns = new Turns()
  const begun: string[] = []
  const loops: number[] = []
  let loop = 0
  const count = () => {
    loop++
    if (begun.length < 6) setImmediate(count)
  }
  setImmediate(count)
  const begin = async (client: string) => {
    await turns.next(client)
    begun.push(client)
    loops.push(loop)
  }
  await Promise.all(['mallory', 'mallory', 'mallory', 'mallory', 'alice', 'bob'].map(begin))
  expect(begun).toEqual(['mallory', 'alice', 'bob', 'mallory', 'mallory', 'mallory'])
  expect(new Set(loops).size).toBe(6)
})

test('what costs much waits for what its own client has under way, and for nobody else', async () => {
  const shares = new Shares(20_000)
  const begun: string[] = []
  const take = async (name: string, client: string, cost: number) => {
    await shares.take(client, cost)
    begun.push(name)
  }
  const all = [
    take('first', 'mallory', 15_000),
    take('second', 'mallory', 15_000),
    take('third', 'mallory', 5_000),
    take('small', 'mallory', 900),
    take('other', 'alice', 15_000),
    take('alone', 'bob', 90_000),
  ]
  await new Promise(setImmediate)
  expect(begun).toEqual(['first', 'small', 'other', 'alone'])
  shares.give('mallory', 15_000)
  await new Promise(setImmediate)
  // in the order in which they came, and both where there is room
  expect(begun.slice(4)).toEqual(['second'])
  shares.give('mallory', 900)
  await Promise.all(all)
  expect(begun.slice(4)).toEqual(['second', 'third'])
})
