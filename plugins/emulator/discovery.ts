import type { FastifyInstance } from 'fastify'
import { ANY_TENANT, type TokenVersion } from '../../lib/authorities/openid-configuration.ts'
import { isMetaTenant } from '../../lib/authorities/tenants.ts'
import type { Directory } from '../../lib/emulator/directory.ts'
import { EntraRefusal } from '../../lib/emulator/entra-error.ts'
import type { SigningKeys } from '../../lib/emulator/signing-keys.ts'
import { addressedUrl } from './addressed-url.ts'

export interface DiscoveryOptions {
  /** Where a tenant is. */
  readonly places: readonly string[]
  /** `iss` of a tenant's tokens. */
  readonly issuerOf: (tenantId: string, version: TokenVersion) => string
  /** `iss` of a tenant's tokens, as its OpenID configuration at that URL names it. */
  readonly issuerAt: (tenantId: string, version: TokenVersion, url: URL) => string
  readonly keys: SigningKeys
  readonly directory: Directory
}

interface Tenant { Params: { tenantId: string, policy?: string } }

/**
 * Where the endpoints of a tenant are, and the keys that its tokens are signed with.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
 */
export async function discovery (app: FastifyInstance, { places, issuerOf, issuerAt, keys, directory }: DiscoveryOptions): Promise<void> {
  app.get('/common/discovery/instance', { config: { emulatorEndpoint: 'discovery' } }, async request => {
    const { host, origin } = addressedUrl(request)
    return {
      'api-version': '1.1',
      tenant_discovery_endpoint: `${origin}/common/v2.0/.well-known/openid-configuration`,
      metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
    }
  })

  for (const place of places) {
    app.get<Tenant>(`${place}/v2.0/.well-known/openid-configuration`, { config: { emulatorEndpoint: 'discovery' } }, async request => {
      const { params: { tenantId: name, policy } } = request
      const { path, tenantId } = tenantOf(name)
      const url = addressedUrl(request)
      const { origin, pathname } = url
      const base = policy === undefined ? `${origin}/${path}` : `${origin}${pathname.slice(0, pathname.indexOf('/v2.0/'))}`
      return {
        issuer: issuerAt(tenantId, '2.0', url),
        authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
        token_endpoint: `${base}/oauth2/v2.0/token`,
        jwks_uri: `${base}/discovery/v2.0/keys`,
        ...common,
        scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
        claims_supported: ['sub', 'iss', 'aud', 'exp', 'iat', 'tid', 'ver', 'azp', 'oid', 'roles', 'scp', 'name', 'preferred_username'],
      }
    })

    app.get<Tenant>(`${place}/discovery/v2.0/keys`, { config: { emulatorEndpoint: 'keys' } }, async ({ params: { tenantId } }) =>
      keys.jwks({ issuer: issuerOf(tenantOf(tenantId).tenantId, '2.0') }))
  }

  app.get<Tenant>('/:tenantId/.well-known/openid-configuration', { config: { emulatorEndpoint: 'discovery' } }, async request => {
    const { path, tenantId } = tenantOf(request.params.tenantId)
    const url = addressedUrl(request)
    const base = `${url.origin}/${path}`
    return {
      issuer: issuerAt(tenantId, '1.0', url),
      authorization_endpoint: `${base}/oauth2/authorize`,
      token_endpoint: `${base}/oauth2/token`,
      jwks_uri: `${base}/discovery/keys`,
      ...common,
      scopes_supported: ['openid'],
      claims_supported: ['sub', 'iss', 'aud', 'exp', 'iat', 'tid', 'ver', 'appid', 'oid', 'roles', 'scp', 'name', 'unique_name', 'upn'],
    }
  })

  app.get<Tenant>('/:tenantId/discovery/keys', { config: { emulatorEndpoint: 'keys' } }, async ({ params: { tenantId } }) => {
    tenantOf(tenantId)
    return keys.jwks()
  })

  /** A tenant as paths have it, and as issuers have it. */
  function tenantOf (name: string): { path: string, tenantId: string } {
    const lower = name.toLowerCase()
    if (isMetaTenant(lower)) return { path: lower, tenantId: ANY_TENANT }
    const tenantId = directory.tenantId(name)
    if (tenantId === undefined) throw new EntraRefusal(90002, `It was '${name}'.`)
    return { path: tenantId, tenantId }
  }
}

/** What the documents of both versions say. */
const common = {
  token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
  response_types_supported: ['code'],
  response_modes_supported: ['query', 'fragment', 'form_post'],
  subject_types_supported: ['pairwise'],
  id_token_signing_alg_values_supported: ['RS256'],
}
