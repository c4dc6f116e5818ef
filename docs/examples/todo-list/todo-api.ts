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

/** The protected web API: a token of the tenant for this audience is let in. An app with the app role sees all, and a user with the scope what is their own. */
export function todoApi ({ instance, tenantId, audience }: TodoApiOptions): FastifyInstance {
  const app = fastify()
  const keys = createRemoteJWKSet(new URL(`${instance}${tenantId}/discovery/v2.0/keys`))
  const issuer = `${instance}${tenantId}/v2.0`

  app.get('/api/TodoList', async (request, reply) => {
    const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined) return reply.code(401).header('www-authenticate', 'Bearer').send({ error: 'a token is needed' })

    const verified = await jwtVerify(token, keys, { issuer, audience, algorithms: ['RS256'] }).catch(() => undefined)
    if (verified === undefined) return reply.code(401).header('www-authenticate', 'Bearer error="invalid_token"').send({ error: 'the token is not valid here' })

    const { scp, roles, azp: caller, name: user } = verified.payload
    if (typeof scp === 'string') {
      if (!scp.split(' ').includes('Todo.Read.Own')) return reply.code(403).send({ error: 'the scope Todo.Read.Own is needed' })
      return { caller, user, todos: [{ id: 3, title: `Show ${String(user)} what is theirs` }] }
    }
    if (!Array.isArray(roles) || !roles.includes('Todo.Read')) return reply.code(403).send({ error: 'the app role Todo.Read is needed' })
    return { caller, todos }
  })
  return app
}
