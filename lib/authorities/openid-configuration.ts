import { jsonObject } from '../json-object.ts'
import { isLoopbackHost } from '../local-host.ts'
import { authorityUrl, type Authority } from './authority.ts'
import { isMicrosoftHost, isSameCloud } from './hosts.ts'
import { isTenantId } from './tenants.ts'

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

/** Who has an OpenID configuration. */
export type DescribedAuthority = Pick<Authority, 'instance' | 'tenantId' | 'policy'>
/** The versions of endpoints and tokens; each has an OpenID configuration of its own. */
export type TokenVersion = '1.0' | '2.0'

/** What stands for the tenant in the issuer of an OpenID configuration that is that of all tenants. */
export const ANY_TENANT = '{tenantid}'

/** Where the authority has its OpenID configuration. */
export function openIdConfigurationUrl (authority: DescribedAuthority, version: TokenVersion = '2.0'): string {
  return `${authorityUrl(authority)}${version === '2.0' ? 'v2.0/' : ''}.well-known/openid-configuration`
}

/** The tenant that an issuer names in its path: an id, or {@link ANY_TENANT}; `undefined` where it names none. */
export function tenantOfIssuer (issuer: string): string | undefined {
  return issuer.toLowerCase().split('/').slice(3).find(part => part === ANY_TENANT || isTenantId(part))
}

/**
 * The OpenID configuration of `authority` as `text` has it; `undefined` where `text` is none.
 *
 * @throws OpenIdConfigurationFault when the document is not the authority's own, or leads secrets elsewhere
 */
export function readOpenIdConfiguration (text: string, authority: DescribedAuthority): OpenIdConfiguration | undefined {
  const { issuer, token_endpoint: tokenEndpoint, jwks_uri: jwksUri } = jsonObject(text) ?? {}
  if (typeof issuer !== 'string' || typeof tokenEndpoint !== 'string') return undefined

  const { host } = new URL(authority.instance)
  if (!isOnAuthority(tokenEndpoint, authority.instance)) throw new OpenIdConfigurationFault('its token_endpoint is not on the origin of the authority')
  if (!isOfAuthority(issuer, host)) throw new OpenIdConfigurationFault('its issuer is not an https URL of the authority\'s host or of a Microsoft cloud')
  if (isTenantId(authority.tenantId) && ![authority.tenantId, ANY_TENANT].includes(tenantOfIssuer(issuer) ?? '')) throw new OpenIdConfigurationFault('its issuer is not of the tenant')
  return { issuer, tokenEndpoint, jwksUri: typeof jwksUri === 'string' && isOfAuthority(jwksUri, host) ? jwksUri : undefined }
}

/** Whether what is sent there reaches the authority itself, which may go by another name of its cloud. */
function isOnAuthority (text: string, instance: string): boolean {
  const [url, { origin, protocol, host }] = [parsed(text), new URL(instance)]
  return url !== undefined && (url.origin === origin || (url.protocol === protocol && isSameCloud(url.host, host)))
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
