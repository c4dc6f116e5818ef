import fastify, { type FastifyInstance } from 'fastify'
import { createRemoteJWKSet, jwtVerify } from 'jose'

/** Where the tokens that the API takes come from, and for whom they are. */
export interface TodoApiOptions {
  instance: string
  tenantId: string
  /** Client id of the API's own app registration. */
  audience: string
}

const todos = [
  { id: 1, title: 'Give the managed identity the app role Todo.Read' },
  { id: 2, title: 'Throw the client secret away' },
]

/** The protected web API: a token of the tenant for this audience is let in, and answered by its app role. */
export function todoApi ({ instance, tenantId, audience }: TodoApiOptions): FastifyInstance {
  const app = fastify()
  const keys = createRemoteJWKSet(new URL(`${instance}${tenantId}/discovery/v2.0/keys`))
  const issuer = `${instance}${tenantId}/v2.0`

  app.get('/api/TodoList', async (request, reply) => {
    const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined) return reply.code(401).header('www-authenticate', 'Bearer').send({ error: 'a token is needed' })

    const verified = await jwtVerify(token, keys, { issuer, audience, algorithms: ['RS256'] }).catch(() => undefined)
    if (verified === undefined) return reply.code(401).header('www-authenticate', 'Bearer error="invalid_token"').send({ error: 'the token is not valid here' })

    const roles = verified.payload['roles']
    if (!Array.isArray(roles) || !roles.includes('Todo.Read')) return reply.code(403).send({ error: 'the app role Todo.Read is needed' })
    return { caller: verified.payload['azp'], todos }
  })
  return app
}
