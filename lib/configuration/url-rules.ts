import { BlockList, isIP } from 'node:net'
import { isLinkLocalHost, isLoopbackHost } from '../local-host.ts'

const metadataNames = new Set(['metadata.azure.internal', 'metadata.google.internal'])
const neverAnApi = new BlockList()
neverAnApi.addSubnet('0.0.0.0', 8, 'ipv4')
neverAnApi.addAddress('::', 'ipv6')
neverAnApi.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6') // link-local, as NAT64 reaches it (RFC 6052)
neverAnApi.addAddress('168.63.129.16', 'ipv4') // WireServer, the platform channel of Azure's virtual machines
neverAnApi.addAddress('fd00:ec2::254', 'ipv6') // metadata of EC2

// https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates: one label before the suffix of each cloud.
const vaultHost = /^[a-z0-9-]+\.vault\.(azure\.net|azure\.cn|usgovcloudapi\.net|microsoftazure\.de)$/

/** Why a token must not be sent to `text`; `undefined` when it may. */
export function apiUrlFault (text: string): string | undefined {
  const fault = webUrlFault(text)
  if (fault !== undefined) return fault
  const hostname = new URL(text).hostname.replace(/\.$/, '')
  if (metadataNames.has(hostname) || isLinkLocalHost(hostname) || isNeverAnApi(hostname)) return 'link-local, metadata and unspecified addresses are not web APIs'
  return undefined
}

function isNeverAnApi (hostname: string): boolean {
  const address = hostname.replace(/^\[|\]$/g, '')
  const family = isIP(address)
  return family !== 0 && neverAnApi.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

/** Why a certificate must not be asked of the vault `text`; `undefined` when it may. */
export function vaultUrlFault (text: string): string | undefined {
  const fault = webUrlFault(text)
  if (fault !== undefined) return fault
  const { hostname, port, pathname } = new URL(text)
  if (pathname !== '/') return 'expected the vault alone, as in https://contoso.vault.azure.net/; the name of the certificate belongs into KeyVaultCertificateName'
  if (isLoopbackHost(hostname) || (port === '' && vaultHost.test(hostname))) return undefined
  return 'expected a vault of Azure, as in https://contoso.vault.azure.net/'
}

/** What holds for every URL that secrets or tokens are sent to. */
export function webUrlFault (text: string): string | undefined {
  if (!URL.canParse(text)) return 'expected an absolute URL'
  const { protocol, hostname, username, password, search, hash } = new URL(text)
  if (username !== '' || password !== '') return 'a URL must not hold credentials'
  if (protocol !== 'https:' && !(protocol === 'http:' && isLoopbackHost(hostname))) return 'expected https; http is for loopback hosts only'
  if (search !== '' || hash !== '') return 'expected a URL without query and fragment'
  return undefined
}
