/** The address of who calls: of the connection, or as a trusted proxy in front says. */
import { BlockList, isIP, isIPv6 } from 'node:net'

/** Whether an address is a proxy whose word on others is taken. */
export type IsProxy = (address: string) => boolean

/** `networks`: addresses or CIDR blocks, checked by the configuration. */
export function trustedProxies(networks: readonly string[]): IsProxy {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  if (networks.length === 0) return () => false
  return (address) => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

/**
 * Of the connection, unless that is a trusted proxy's: then the last address in `X-Forwarded-For` that is
 * no proxy, since everything before it is what the client itself wrote. Undefined when nothing reliable
 * is known: behind a proxy on this machine that the configuration does not name, everybody would look
 * like one client.
 */
export function clientAddress(
  remote: string | undefined,
  forwarded: string | undefined,
  isProxy: IsProxy,
): string | undefined {
  const peer = remote === undefined ? undefined : withoutMapping(remote)
  if (peer === undefined) return undefined
  if (!isProxy(peer)) return forwarded !== undefined && isOwn(peer) ? undefined : peer
  const hops = (forwarded ?? '').split(',').map((hop) => withoutMapping(withoutPort(hop.trim())))
  const client = hops.toReversed().find((hop) => isIP(hop) === 0 || !isProxy(hop))
  return client !== undefined && isIP(client) !== 0 ? client : undefined
}

/** Some proxies name the port as well: `192.0.2.1:4711`, `[2001:db8::1]:4711` (as RFC 7239 §6 writes them). */
function withoutPort(hop: string): string {
  const parts = /^(?:(?<v4>[\d.]+):\d{1,5}|\[(?<v6>[\da-f:.]+)\](?::\d{1,5})?)$/iu.exec(hop)?.groups
  return parts?.['v4'] ?? parts?.['v6'] ?? hop
}

/** True for an address of this machine. */
export function isOwn(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

/** A dual-stack socket shows IPv4 as `::ffff:192.0.2.1` (RFC 4291 §2.5.5.2). */
export function withoutMapping(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/iu, '')
}
