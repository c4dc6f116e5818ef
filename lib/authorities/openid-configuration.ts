import { isLoopbackHost } from '../local-host.ts'
import { authorityUrl, type Authority } from './authority.ts'
import { isMicrosoftHost } from './hosts.ts'

/** What an authority says of itself (OpenID Connect Discovery 1.0), checked. */
export interface OpenIdConfiguration {
  /** `iss` of the tokens; `{tenantid}` stands for the tenant where the document is that of all tenants. */
  readonly issuer: string
  readonly tokenEndpoint: string
  /** Where the keys of the tokens are; `undefined` where the document names no place that may be asked. */
  readonly jwksUri: string | undefined
}

/** What a document says that the authority must not say. */
export class OpenIdConfigurationFault extends Error {}

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Where the authority has its OpenID configuration. */
export function openIdConfigurationUrl (authority: Authority): string {
  return `${authorityUrl(authority)}v2.0/.well-known/openid-configuration`
}

/**
 * The OpenID configuration of `authority` as `text` has it; `undefined` where `text` is none.
 *
 * @throws OpenIdConfigurationFault when the document is not the authority's own, or leads secrets elsewhere
 */
export function readOpenIdConfiguration (text: string, authority: Authority): OpenIdConfiguration | undefined {
  const { issuer, token_endpoint: tokenEndpoint, jwks_uri: jwksUri } = jsonObject(text)
  if (typeof issuer !== 'string' || typeof tokenEndpoint !== 'string') return undefined

  const { origin, host } = new URL(authority.instance)
  if (parsed(tokenEndpoint)?.origin !== origin) throw new OpenIdConfigurationFault('its token_endpoint is not on the origin of the authority')
  if (!isOfAuthority(issuer, host)) throw new OpenIdConfigurationFault('its issuer is not an https URL of the authority\'s host or of a Microsoft cloud')
  if (guid.test(authority.tenantId) && ![authority.tenantId, '{tenantid}'].some(tenant => issuer.toLowerCase().includes(tenant))) throw new OpenIdConfigurationFault('its issuer is not of the tenant')
  return { issuer, tokenEndpoint, jwksUri: typeof jwksUri === 'string' && isOfAuthority(jwksUri, host) ? jwksUri : undefined }
}

function isOfAuthority (text: string, host: string): boolean {
  const url = parsed(text)
  return url !== undefined && (url.host === host || (url.protocol === 'https:' && isMicrosoftHost(url.host)))
}

/** A URL that could be asked: https, or a loopback host, without credentials. */
function parsed (text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  const { protocol, hostname, username, password } = url
  return username === '' && password === '' && (protocol === 'https:' || (protocol === 'http:' && isLoopbackHost(hostname))) ? url : undefined
}

function jsonObject (text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>
  } catch {
    return {}
  }
}
