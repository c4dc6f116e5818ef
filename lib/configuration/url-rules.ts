import { isLinkLocalHost, isLoopbackHost } from '../local-host.ts'

const metadataHosts = new Set(['metadata.azure.internal', 'metadata.google.internal', '0.0.0.0', '[::]'])
// https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud, and their older names.
const microsoftHosts = new Set([
  'login.microsoftonline.com', 'login.microsoft.com', 'login.windows.net', 'sts.windows.net',
  'login.microsoftonline.us', 'login.usgovcloudapi.net',
  'login.partner.microsoftonline.cn', 'login.chinacloudapi.cn',
  'login.microsoftonline.de', 'login.sovcloud-identity.fr',
])

/** Why a token must not be sent to `text`; `undefined` when it may. */
export function apiUrlFault (text: string): string | undefined {
  const fault = webUrlFault(text)
  if (fault !== undefined) return fault
  const { hostname } = new URL(text)
  if (metadataHosts.has(hostname) || isLinkLocalHost(hostname)) return 'link-local, metadata and unspecified addresses are not web APIs'
  return undefined
}

/** Why `text` cannot be an authority's host; `undefined` when it can. */
export function instanceFault (text: string, knownAuthorities: readonly string[]): string | undefined {
  const fault = webUrlFault(text)
  if (fault !== undefined) return fault
  const { hostname, host } = new URL(text)
  const known = microsoftHosts.has(host) || /^[a-z0-9-]+\.(ciamlogin|b2clogin)\.com$/.test(host) || isLoopbackHost(hostname) ||
    knownAuthorities.some(authority => authority.toLowerCase() === host)
  return known ? undefined : `the host ${host} is not known to be an authority; list it in KnownAuthorities if it is`
}

/** What holds for every URL that secrets or tokens are sent to. */
function webUrlFault (text: string): string | undefined {
  if (!URL.canParse(text)) return 'expected an absolute URL'
  const { protocol, hostname, username, password, search, hash } = new URL(text)
  if (username !== '' || password !== '') return 'a URL must not hold credentials'
  if (protocol !== 'https:' && !(protocol === 'http:' && isLoopbackHost(hostname))) return 'expected https; http is for loopback hosts only'
  if (search !== '' || hash !== '') return 'expected a URL without query and fragment'
  return undefined
}
