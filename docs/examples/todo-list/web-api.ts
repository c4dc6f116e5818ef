import fastify, { type FastifyInstance } from 'fastify'
import identityWeb, { loadAppSettings } from 'fastify-identity-web'

/** What MyWebApi answers. */
export interface TodoList {
  /** Client id of the identity that called. */
  caller: string
  /** The user on whose behalf it called; none where it called as itself. */
  user?: string
  todos: { id: number, title: string }[]
}

/** The web API that calls MyWebApi: each route with the identity that it declares. */
export async function webApi (appSettings: string): Promise<FastifyInstance> {
  const app = fastify({ logger: { level: 'warn' } })
  const config = loadAppSettings({ path: appSettings })
  const { ClientId: userAssignedClientId } = config['UserAssigned'] as { ClientId: string }
  await app.register(identityWeb, { config, downstreamApis: ['MyWebApi'], inbound: true })

  app.get('/todos/client-credential', {
    config: { downstreamApi: { MyWebApi: { identity: 'client-credential' } } }
  }, request => request.downstreamApi.getForApp<TodoList>('MyWebApi'))

  app.get('/todos/system-assigned', {
    config: { downstreamApi: { MyWebApi: { identity: 'managed-identity' } } }
  }, request => request.downstreamApi.getForApp<TodoList>('MyWebApi'))

  app.get('/todos/user-assigned', {
    config: { downstreamApi: { MyWebApi: { identity: 'managed-identity', acquireTokenOptions: { managedIdentity: { userAssignedClientId } } } } }
  }, request => request.downstreamApi.getForApp<TodoList>('MyWebApi'))

  // As the user whose token comes with the request: `config.auth` says who may come, and without a valid token nobody gets here.
  app.get('/todos/mine', {
    config: { auth: { scopes: ['access_as_user'] }, downstreamApi: { MyWebApi: { identity: 'user' } } }
  }, request => request.downstreamApi.getForUser<TodoList>('MyWebApi'))

  return app
}
