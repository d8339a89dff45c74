import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** Kinds of addresses that a mail host may have, by their names in MAILFOLD_MAIL_HOSTS. */
const CLASSES: Readonly<Record<string, readonly string[]>> = {
  public: ['unicast'],
  // RFC 1918, RFC 6598, RFC 4193
  private: ['private', 'carrierGradeNat', 'uniqueLocal'],
  loopback: ['loopback'],
}

/** Ranges that no list can allow: no mail host lives there, and what does is none of a client's business. */
const NEVER: ReadonlySet<string> = new Set(['linkLocal', 'multicast', 'broadcast', 'unspecified'])

/** Where clouds tell a machine its secrets, outside of the link-local range. */
const METADATA: ReadonlySet<string> = new Set([
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  'fd00:42::42',
  'fd00:ec2::254',
  'fd20:ce::254',
])

/** The prefix behind which IPv6 carries an IPv4 address to a translator (RFC 6052 §2.1). */
const TRANSLATED = ipaddr.IPv6.parseCIDR('64:ff9b::/96')

/** Which addresses mail hosts may have. */
export class HostAddresses {
  private readonly ranges: ReadonlySet<string>
  private readonly networks: readonly [Address, number][]

  /** @param entries names of classes (public, private, loopback) and networks ("10.1.0.0/16"). @throws Error naming an entry that is neither */
  constructor(entries: readonly string[]) {
    const networks = entries.filter((entry) => !(entry in CLASSES))
    this.ranges = new Set(entries.flatMap((entry) => CLASSES[entry] ?? []))
    this.networks = networks.map(networkOf)
  }

  /** @param address an IP address, in any form that the system's resolver answers with */
  allows(address: string): boolean {
    const [withoutZone = ''] = address.split('%')
    if (!ipaddr.isValid(withoutZone)) return false
    const meant = meantBy(ipaddr.process(withoutZone))
    const range = meant.range()
    if (NEVER.has(range) || METADATA.has(meant.toString())) return false
    if (this.ranges.has(range)) return true
    return this.networks.some(([network, bits]) => meant.kind() === network.kind() && meant.match(network, bits))
  }
}

/** The IPv4 address that an IPv6 address stands for, where it does; else the address itself. */
function meantBy(address: Address): Address {
  if (address.kind() === 'ipv4') return address
  const bytes = address.toByteArray()
  return address.match(...TRANSLATED) ? new ipaddr.IPv4(bytes.slice(12)) : address
}

function networkOf(entry: string): [Address, number] {
  if (!ipaddr.isValidCIDR(entry)) throw new Error(`"${entry}" is neither public, private or loopback nor a network`)
  return ipaddr.parseCIDR(entry)
}
