import { BlockList, isIP } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

const linkLocal = new BlockList()
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4')
linkLocal.addSubnet('fe80::', 10, 'ipv6')

/** Whether `hostname`, as `URL` gives it, is this machine: `localhost` or a loopback address. */
export function isLoopbackHost (hostname: string): boolean {
  return hostname === 'localhost' || holds(loopback, hostname)
}

/** Whether `hostname`, as `URL` gives it, is a link-local address (RFC 3927, RFC 4291 section 2.5.6), where platforms keep their metadata services. */
export function isLinkLocalHost (hostname: string): boolean {
  return holds(linkLocal, hostname)
}

function holds (list: BlockList, hostname: string): boolean {
  const address = hostname.replace(/^\[|\]$/g, '')
  const family = isIP(address)
  // An IPv4 address that is mapped into IPv6 is checked against the IPv4 rules by BlockList itself.
  return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4')
}
