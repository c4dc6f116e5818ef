import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Directory } from '../../lib/emulator/directory.ts'
import { entraErrorBody, EntraRefusal } from '../../lib/emulator/entra-error.ts'
import { Refusal } from '../../lib/emulator/refusal.ts'
import type { TokenEndpoint } from '../../lib/emulator/token-endpoint.ts'
import type { TokenIssuer } from '../../lib/emulator/token-issuer.ts'

export interface EntraIdOptions {
  readonly instance: () => string
  readonly issuerOf: (tenantId: string) => string
  readonly issuer: TokenIssuer
  readonly directory: Directory
  readonly tokenEndpoint: TokenEndpoint
  readonly now: () => number
}

interface Tenant { Params: { tenantId: string } }

/** Entra ID's endpoints of every tenant: discovery, keys, tokens. */
export async function entraId (app: FastifyInstance, { instance, issuerOf, issuer, directory, tokenEndpoint, now }: EntraIdOptions): Promise<void> {
  app.setErrorHandler((error, request, reply) => {
    if (!(error instanceof Refusal)) throw error
    return reply.code(error.status).header('cache-control', 'no-store').send(entraErrorBody(error, correlationIdOf(request), now()))
  })

  app.get<Tenant>('/:tenantId/v2.0/.well-known/openid-configuration', { config: { emulatorEndpoint: 'discovery' } }, async ({ params: { tenantId } }) => {
    requireTenant(tenantId)
    const base = `${instance()}${tenantId.toLowerCase()}`
    return {
      issuer: issuerOf(tenantId),
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      token_endpoint: `${base}/oauth2/v2.0/token`,
      jwks_uri: `${base}/discovery/v2.0/keys`,
      token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
      response_types_supported: ['code'],
      response_modes_supported: ['query', 'fragment', 'form_post'],
      subject_types_supported: ['pairwise'],
      id_token_signing_alg_values_supported: ['RS256'],
      scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
      claims_supported: ['sub', 'iss', 'aud', 'exp', 'iat', 'tid', 'ver', 'azp', 'oid', 'roles'],
    }
  })

  app.get('/common/discovery/instance', { config: { emulatorEndpoint: 'discovery' } }, async () => {
    const { host } = new URL(instance())
    return {
      'api-version': '1.1',
      tenant_discovery_endpoint: `${instance()}common/v2.0/.well-known/openid-configuration`,
      metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
    }
  })

  app.get<Tenant>('/:tenantId/discovery/v2.0/keys', { config: { emulatorEndpoint: 'keys' } }, async ({ params: { tenantId } }) => {
    requireTenant(tenantId)
    return issuer.jwks(tenantId)
  })

  app.post<Tenant>('/:tenantId/oauth2/v2.0/token', { config: { emulatorEndpoint: 'token' } }, async (request, reply) => {
    const { params: { tenantId }, headers: { authorization }, body } = request
    const form = typeof body === 'object' && body !== null ? body as Record<string, string> : {}
    const answer = await tokenEndpoint.answer({ tenantId, form, authorization })
    return reply.header('cache-control', 'no-store').send(answer)
  })

  function requireTenant (tenantId: string): void {
    if (!directory.hasTenant(tenantId)) throw new EntraRefusal(90002, `It was '${tenantId}'.`)
  }
}

function correlationIdOf ({ headers }: FastifyRequest): string | undefined {
  const correlationId = headers['client-request-id']
  return typeof correlationId === 'string' ? correlationId : undefined
}
