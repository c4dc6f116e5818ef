import { isLoopbackHost } from '../local-host.ts'

/** What an authority's host says of it. */
export type HostKind =
  /** One of Microsoft's clouds for work and school accounts. */
  | 'cloud'
  /** Entra External ID (CIAM), whose host names the tenant. */
  | 'external-id'
  /** Azure AD B2C, whose host names the tenant and whose path names a policy. */
  | 'b2c'
  | 'loopback'
  /** A custom domain or a proxy, which the configuration must list. */
  | 'other'

interface Cloud {
  /** The host of today, then its older names. */
  readonly hosts: readonly string[]
  /** What a region stands before; `undefined` where there are no regional endpoints. */
  readonly regional: string | undefined
  /** Whose name tokens of version 1.0 are issued in. */
  readonly issuerOfV1: string
}

// https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud; the regional hosts are those of MSAL.
const clouds: readonly Cloud[] = [
  { hosts: ['login.microsoftonline.com', 'login.microsoft.com', 'login.windows.net', 'sts.windows.net'], regional: 'login.microsoft.com', issuerOfV1: 'sts.windows.net' },
  { hosts: ['login.microsoftonline.us', 'login.usgovcloudapi.net'], regional: 'login.microsoftonline.us', issuerOfV1: 'sts.windows.net' },
  { hosts: ['login.partner.microsoftonline.cn', 'login.chinacloudapi.cn', 'sts.chinacloudapi.cn'], regional: 'login.partner.microsoftonline.cn', issuerOfV1: 'sts.chinacloudapi.cn' },
  { hosts: ['login.microsoftonline.de', 'sts.microsoftonline.de'], regional: undefined, issuerOfV1: 'sts.microsoftonline.de' },
  { hosts: ['login.sovcloud-identity.fr'], regional: undefined, issuerOfV1: 'login.sovcloud-identity.fr' },
]

const tenantHost = /^([a-z0-9-]+)\.(ciamlogin|b2clogin)\.com$/

/** @param host as `URL` gives it, with its port unless that is the default one */
export function hostKind (host: string): HostKind {
  if (cloudOf(host) !== undefined) return 'cloud'
  const [, , service] = tenantHost.exec(host) ?? []
  if (service !== undefined) return service === 'ciamlogin' ? 'external-id' : 'b2c'
  return isLoopbackHost(host.replace(/:\d+$/, '')) ? 'loopback' : 'other'
}

/** Whether Microsoft serves the host, so that its endpoints are known. */
export function isMicrosoftHost (host: string): boolean {
  return ['cloud', 'external-id', 'b2c'].includes(hostKind(host))
}

/** Whether the host is of External ID or B2C, and so of one tenant. */
export function isOfCustomers (host: string): boolean {
  return tenantHost.test(host)
}

/** The tenant that a host of External ID or B2C is named after. */
export function tenantOfHost (host: string): string | undefined {
  const [, name] = tenantHost.exec(host) ?? []
  return name && `${name}.onmicrosoft.com`
}

/** Whether both are names of the same cloud, or the same host. */
export function isSameCloud (a: string, b: string): boolean {
  return a === b || (cloudOf(a) !== undefined && cloudOf(a) === cloudOf(b))
}

/** The host in whose name a cloud issues tokens of a version; the host itself where it is no cloud's. */
export function issuerHost (host: string, version: '1.0' | '2.0'): string {
  const cloud = cloudOf(host)
  if (cloud === undefined) return host
  return version === '1.0' ? cloud.issuerOfV1 : cloud.hosts[0]!
}

/** The host of a cloud in a region; `undefined` where there are no regional endpoints. */
export function regionalHost (host: string, region: string): string | undefined {
  const regional = cloudOf(host)?.regional
  return regional && `${region}.${regional}`
}

/**
 * Whether the configuration lists the host.
 *
 * @param listed `host`, or `host:port`
 */
export function isListed (host: string, listed: readonly string[]): boolean {
  return listed.some(item => hostOf(item) === host)
}

/** The host as `URL` gives it: in lower case, and without the port of https. */
export function hostOf (listed: string): string | undefined {
  return URL.canParse(`https://${listed}`) ? new URL(`https://${listed}`).host : undefined
}

function cloudOf (host: string): Cloud | undefined {
  return clouds.find(({ hosts }) => hosts.includes(host))
}
