import fc from 'fast-check'
import { HostAddresses } from './host-addresses.js'

const LOOPBACK = ['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1', '64:ff9b::127.0.0.1']
const PRIVATE = [
  '10.0.0.1',
  '172.16.0.1',
  '192.168.1.1',
  '100.64.0.1',
  'fd12::1',
  '::ffff:10.0.0.1',
  '64:ff9b::10.0.0.1',
]
const PUBLIC = ['8.8.8.8', '2a00:1450::1', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8']
const NEVER = [
  '0.0.0.0',
  '::',
  '169.254.169.254',
  '::ffff:169.254.169.254',
  '64:ff9b::a9fe:a9fe',
  'fe80::1',
  'fe80::1%eth0',
  '224.0.0.1',
  'ff02::1',
  '255.255.255.255',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  'fd00:ec2::254',
  'no address',
  '',
]

test.each([
  ['public', { loopback: false, private: false, public: true }],
  ['private', { loopback: false, private: true, public: false }],
  ['loopback', { loopback: true, private: false, public: false }],
])('hostile-servers: %s allows addresses of its class alone, in every spelling', (entry, allowed) => {
  const addresses = new HostAddresses([entry])
  expect(LOOPBACK.map((each) => addresses.allows(each))).toEqual(LOOPBACK.map(() => allowed.loopback))
  expect(PRIVATE.map((each) => addresses.allows(each))).toEqual(PRIVATE.map(() => allowed.private))
  expect(PUBLIC.map((each) => addresses.allows(each))).toEqual(PUBLIC.map(() => allowed.public))
})

test('hostile-servers: link-local, multicast and metadata addresses are never allowed, whatever the list says', () => {
  const all = new HostAddresses(['public', 'private', 'loopback', '0.0.0.0/0', '::/0'])
  expect(NEVER.filter((each) => all.allows(each))).toEqual([])
})

test('a network allows what is in it, and nothing else', () => {
  const addresses = new HostAddresses(['192.0.2.0/24', '2001:db8:7::/48'])
  for (const address of ['192.0.2.1', '192.0.2.255', '::ffff:192.0.2.9', '2001:db8:7::1'])
    expect([address, addresses.allows(address)]).toEqual([address, true])
  for (const address of ['192.0.3.1', '8.8.8.8', '2001:db8:8::1', '127.0.0.1'])
    expect([address, addresses.allows(address)]).toEqual([address, false])
})

test('an IPv4 address is the same one however IPv6 carries it', () => {
  const lists = [['public'], ['private'], ['loopback'], ['10.0.0.0/8', 'public'], ['0.0.0.0/0']]
  fc.assert(
    fc.property(fc.ipV4(), fc.constantFrom(...lists), (address, list) => {
      const addresses = new HostAddresses(list)
      const allowed = addresses.allows(address)
      expect(addresses.allows(`::ffff:${address}`)).toBe(allowed)
      expect(addresses.allows(`64:ff9b::${address}`)).toBe(allowed)
    }),
  )
})

test.each(['everything', '10.0.0.0/33', '10.0.0.1', '', 'Public'])('%j is no entry of the list', (entry) => {
  expect(() => new HostAddresses([entry])).toThrow('neither public')
})
