import type { FastifyInstance } from 'fastify'
import { FederatedIssuer } from '../../lib/emulator/federated-issuer.ts'

export interface FederatedIssuersOptions {
  /** The issuer of that URL. */
  readonly issuer: (path: string) => FederatedIssuer | undefined
}

interface Issuer { Params: { id: string } }

/** Discovery and keys of the issuers that apps can trust by their federated credentials. */
export async function federatedIssuers (app: FastifyInstance, { issuer }: FederatedIssuersOptions): Promise<void> {
  for (const kind of ['kubernetes', 'federated']) {
    app.get<Issuer>(`/${kind}/:id/.well-known/openid-configuration`, { config: { emulatorEndpoint: 'discovery' } }, async ({ params: { id } }, reply) => {
      const found = issuer(`${kind}/${id}`)
      if (found === undefined) return reply.callNotFound()
      return {
        issuer: found.url,
        jwks_uri: `${found.url}/openid/v1/jwks`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256'],
      }
    })

    app.get<Issuer>(`/${kind}/:id/openid/v1/jwks`, { config: { emulatorEndpoint: 'keys' } }, async ({ params: { id } }, reply) =>
      issuer(`${kind}/${id}`)?.jwks ?? reply.callNotFound())
  }
}
