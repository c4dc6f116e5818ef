import type { FastifyInstance } from 'fastify'
import type { ManagedIdentitySourceName } from '../../lib/emulator/directory.ts'
import type { ManagedIdentityEndpoint } from '../../lib/emulator/managed-identity-endpoint.ts'
import { managedIdentityPaths } from '../../lib/emulator/managed-identity-environment.ts'
import { Refusal } from '../../lib/emulator/refusal.ts'

export interface ManagedIdentityOptions {
  readonly endpoint: ManagedIdentityEndpoint
  readonly sources: readonly ManagedIdentitySourceName[]
}

interface Parameters { Querystring: Record<string, string>, Body: Record<string, string> | null }

/** The managed identity endpoints of the platforms. */
export async function managedIdentity (app: FastifyInstance, { endpoint, sources }: ManagedIdentityOptions): Promise<void> {
  for (const source of sources) {
    app.route<Parameters>({
      method: source === 'cloud-shell' ? 'POST' : 'GET',
      url: `/${managedIdentityPaths[source]}`,
      config: { emulatorEndpoint: 'managed-identity' },
      handler: ({ query, body, headers }) => endpoint.answer(source, { parameters: { ...query, ...body }, headers }),
      errorHandler (error, _request, reply) {
        if (!(error instanceof Refusal)) throw error
        const { body, headers } = endpoint.refuse(source, error)
        return reply.code(error.status).headers(headers).send(body)
      },
    })
  }
}
