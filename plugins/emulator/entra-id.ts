import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Directory } from '../../lib/emulator/directory.ts'
import { entraErrorBody, EntraRefusal } from '../../lib/emulator/entra-error.ts'
import { Refusal } from '../../lib/emulator/refusal.ts'
import type { RecordedUser } from '../../lib/emulator/request-log.ts'
import type { TokenEndpoint } from '../../lib/emulator/token-endpoint.ts'
import type { TokenIssuer } from '../../lib/emulator/token-issuer.ts'
import { addressedUrl } from './addressed-url.ts'

export interface EntraIdOptions {
  /** `iss` of a tenant, as its OpenID configuration at that URL names it. */
  readonly issuerAt: (tenantId: string, url: URL) => string
  readonly issuer: TokenIssuer
  readonly directory: Directory
  readonly tokenEndpoint: TokenEndpoint
  readonly now: () => number
}

interface Tenant { Params: { tenantId: string, policy?: string } }

/** Where a tenant is: by itself, and with a user flow as Azure AD B2C has it. */
const places = ['/:tenantId', '/:tenantId/:policy', '/tfp/:tenantId/:policy']

/** Entra ID's endpoints of every tenant: discovery, keys, tokens. */
export async function entraId (app: FastifyInstance, { issuerAt, issuer, directory, tokenEndpoint, now }: EntraIdOptions): Promise<void> {
  app.setErrorHandler((error, request, reply) => {
    if (!(error instanceof Refusal)) throw error
    return reply.code(error.status).header('cache-control', 'no-store').send(entraErrorBody(error, correlationIdOf(request), now()))
  })

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
      const tenantId = requireTenant(name)
      const url = addressedUrl(request)
      const { origin, pathname } = url
      const base = policy === undefined ? `${origin}/${tenantId}` : `${origin}${pathname.slice(0, pathname.indexOf('/v2.0/'))}`
      return {
        issuer: issuerAt(tenantId, url),
        authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
        token_endpoint: `${base}/oauth2/v2.0/token`,
        jwks_uri: `${base}/discovery/v2.0/keys`,
        token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
        response_types_supported: ['code'],
        response_modes_supported: ['query', 'fragment', 'form_post'],
        subject_types_supported: ['pairwise'],
        id_token_signing_alg_values_supported: ['RS256'],
        scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
        claims_supported: ['sub', 'iss', 'aud', 'exp', 'iat', 'tid', 'ver', 'azp', 'oid', 'roles'],
      }
    })

    app.get<Tenant>(`${place}/discovery/v2.0/keys`, { config: { emulatorEndpoint: 'keys' } }, async ({ params: { tenantId } }) => issuer.jwks(requireTenant(tenantId)))

    app.post<Tenant>(`${place}/oauth2/v2.0/token`, { config: { emulatorEndpoint: 'token' } }, async (request, reply) => {
      const { params: { tenantId }, headers: { authorization }, emulatorRecord } = request
      const onUser = (user: RecordedUser) => { emulatorRecord!.user = user }
      const answer = await tokenEndpoint.answer({ url: addressedUrl(request).href, tenantId, form: formOf(request), authorization, onUser })
      return reply.header('cache-control', 'no-store').send(answer)
    })
  }

  function requireTenant (name: string): string {
    const tenantId = directory.tenantId(name)
    if (tenantId === undefined) throw new EntraRefusal(90002, `It was '${name}'.`)
    return tenantId
  }
}

/** The fields of a form; none for any other body, which Entra ID does not read. */
function formOf ({ headers, body }: FastifyRequest): Record<string, string> {
  return headers['content-type']?.toLowerCase().startsWith('application/x-www-form-urlencoded') ? body as Record<string, string> : {}
}

function correlationIdOf ({ headers }: FastifyRequest): string | undefined {
  const correlationId = headers['client-request-id']
  return typeof correlationId === 'string' ? correlationId : undefined
}
