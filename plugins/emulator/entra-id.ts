import type { FastifyInstance, FastifyRequest } from 'fastify'
import { entraErrorBody } from '../../lib/emulator/entra-error.ts'
import { Refusal } from '../../lib/emulator/refusal.ts'
import type { RecordedUser } from '../../lib/emulator/request-log.ts'
import type { TokenEndpoint } from '../../lib/emulator/token-endpoint.ts'
import { addressedUrl } from './addressed-url.ts'
import { discovery, type DiscoveryOptions } from './discovery.ts'

export interface EntraIdOptions extends Omit<DiscoveryOptions, 'places'> {
  readonly tokenEndpoint: TokenEndpoint
  readonly now: () => number
}

interface Tenant { Params: { tenantId: string, policy?: string } }

/** Where a tenant is: by itself, and with a user flow as Azure AD B2C has it. */
const places = ['/:tenantId', '/:tenantId/:policy', '/tfp/:tenantId/:policy']

/** Entra ID's endpoints of every tenant: discovery, keys, tokens. */
export async function entraId (app: FastifyInstance, { tokenEndpoint, now, ...options }: EntraIdOptions): Promise<void> {
  app.setErrorHandler((error, request, reply) => {
    if (!(error instanceof Refusal)) throw error
    return reply.code(error.status).header('cache-control', 'no-store').send(entraErrorBody(error, correlationIdOf(request), now()))
  })

  await app.register(discovery, { ...options, places })

  for (const place of places) {
    app.post<Tenant>(`${place}/oauth2/v2.0/token`, { config: { emulatorEndpoint: 'token' } }, async (request, reply) => {
      const { params: { tenantId }, headers: { authorization }, emulatorRecord } = request
      const onUser = (user: RecordedUser) => { emulatorRecord!.user = user }
      const answer = await tokenEndpoint.answer({ url: addressedUrl(request).href, tenantId, form: formOf(request), authorization, onUser })
      return reply.header('cache-control', 'no-store').send(answer)
    })
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
