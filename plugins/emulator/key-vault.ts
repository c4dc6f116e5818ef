import type { FastifyInstance } from 'fastify'
import { keyVaultErrorBody, type KeyVault } from '../../lib/emulator/key-vault.ts'
import { Refusal } from '../../lib/emulator/refusal.ts'

export interface KeyVaultRoutesOptions {
  readonly keyVault: KeyVault
}

interface Secret { Params: { name: string, version?: string }, Querystring: Record<string, string> }

/** Key Vault's endpoint for secrets. */
export async function keyVaultRoutes (app: FastifyInstance, { keyVault }: KeyVaultRoutesOptions): Promise<void> {
  app.setErrorHandler((error, _request, reply) => {
    if (!(error instanceof Refusal)) throw error
    if (error.status === 401) reply.header('www-authenticate', keyVault.challenge)
    return reply.code(error.status).send(keyVaultErrorBody(error))
  })

  app.get<Secret>('/secrets/:name/:version?', { config: { emulatorEndpoint: 'key-vault' } }, ({ params: { name, version }, query, headers: { authorization } }) =>
    keyVault.secret({ name, version, apiVersion: query['api-version'], authorization }))
}
