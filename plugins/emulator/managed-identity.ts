import type { FastifyInstance } from 'fastify'
import type { ManagedIdentityEndpoint } from '../../lib/emulator/managed-identity-endpoint.ts'
import { Refusal } from '../../lib/emulator/refusal.ts'

export interface ManagedIdentityOptions {
  readonly endpoint: ManagedIdentityEndpoint
}

interface Query { Querystring: Record<string, string> }

/** The managed identity endpoints of App Service and of virtual machines (IMDS). */
export async function managedIdentity (app: FastifyInstance, { endpoint }: ManagedIdentityOptions): Promise<void> {
  const config = { emulatorEndpoint: 'managed-identity' } as const

  app.get<Query>('/msi/token', {
    config,
    errorHandler (error, _request, reply) {
      if (!(error instanceof Refusal)) throw error
      return reply.code(error.status).send({ statusCode: error.status, message: error.message })
    }
  }, ({ query, headers }) => endpoint.answer('app-service', { query, headers }))

  app.get<Query>('/metadata/identity/oauth2/token', {
    config,
    errorHandler (error, _request, reply) {
      if (!(error instanceof Refusal)) throw error
      return reply.code(error.status).send({ error: error.error, error_description: error.message })
    }
  }, ({ query, headers }) => endpoint.answer('imds', { query, headers }))
}
