import t from 'tap'
import { decodeJwt, type JWTPayload } from 'jose'
import graph from '@microsoft/microsoft-graph-client'
import { Agent } from 'undici'
import { graphAuthenticationProvider, type GraphAuthenticationProviderOptions, type GraphRequestAuthenticationOptions } from '../../../plugins/index.ts'
import type { AuthorizationHeaderProvider } from '../../../lib/tokens/authorization-header-provider.ts'
import { build, buildIn, startWorld } from '../../fixtures/build.ts'
import { startHttpsServer } from '../../fixtures/https-server.ts'
import { appSettings, clientId, scope, tenantId, userAssignedClientId } from '../../fixtures/todo-api.ts'

const { AuthenticationHandlerOptions, Client } = graph

/** The real client of Microsoft Graph, against a server that keeps what the tokens of its callers say. */
async function startGraph (t: Parameters<typeof startHttpsServer>[0]) {
  const callers: JWTPayload[] = []
  const { origin, cert } = await startHttpsServer(t, ({ headers }, response) => {
    callers.push(decodeJwt(headers.authorization!.slice('Bearer '.length)))
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"displayName":"Ada"}')
  })
  const dispatcher = new Agent({ connect: { ca: cert } })
  t.teardown(() => dispatcher.close())
  const clientOf = (provider: AuthorizationHeaderProvider, options?: GraphAuthenticationProviderOptions) =>
    Client.initWithMiddleware({ authProvider: graphAuthenticationProvider(provider, options), baseUrl: origin, customHosts: new Set(['localhost']), fetchOptions: { dispatcher } as object })
  return { callers, clientOf }
}

/** As one Graph request carries them. */
const forRequest = (options: GraphRequestAuthenticationOptions) => [new AuthenticationHandlerOptions(undefined, options)]

t.test('the Graph client calls as the app', async t => {
  const world = await startWorld(t)
  const { callers, clientOf } = await startGraph(t)
  const { authorizationHeaderProvider } = await buildIn(t, world)
  const client = clientOf(authorizationHeaderProvider, { requestAppToken: true })

  t.strictSame(await client.api('/me').get(), { displayName: 'Ada' })
  await client.api('/me').get()

  t.match(callers, [{ azp: clientId, tid: tenantId }, { azp: clientId }])
  t.match(world.entra.tokenRequests, [{ body: { scope: 'https://graph.microsoft.com/.default' } }])
  t.equal(world.entra.tokenRequests.length, 1, 'on the cache of the provider')
})

t.test('one single Graph request is made with a managed identity', async t => {
  const world = await startWorld(t)
  const { callers, clientOf } = await startGraph(t)
  const { authorizationHeaderProvider } = await buildIn(t, world)
  const client = clientOf(authorizationHeaderProvider, { requestAppToken: true })

  await client.api('/users').middlewareOptions(forRequest({ acquireTokenOptions: { managedIdentity: { userAssignedClientId } } })).get()
  await client.api('/users').middlewareOptions(forRequest({ scopes: ['https://graph.microsoft.com/.default'], acquireTokenOptions: { managedIdentity: {} } })).get()
  await client.api('/users').get()

  t.match(callers.map(({ azp }) => azp), [userAssignedClientId, world.identities.systemAssigned.clientId, clientId])
})

t.test('a managed identity is the app, without requestAppToken', async t => {
  const world = await startWorld(t)
  const { callers, clientOf } = await startGraph(t)
  const { MyWebApi } = appSettings(world.entra, world.todoApi.baseUrl)
  const { authorizationHeaderProvider } = await build(t, { config: { MyWebApi } })

  await clientOf(authorizationHeaderProvider, { acquireTokenOptions: { managedIdentity: {} } }).api('/me').get()

  t.match(callers, [{ azp: world.identities.systemAssigned.clientId }])
})

t.test('other scopes may be asked for, by the provider and by one request', async t => {
  const world = await startWorld(t)
  const { callers, clientOf } = await startGraph(t)
  const { authorizationHeaderProvider } = await buildIn(t, world)

  await clientOf(authorizationHeaderProvider, { scopes: scope, requestAppToken: true }).api('/me').get()
  await clientOf(authorizationHeaderProvider, { scopes: [scope], requestAppToken: true }).api('/me').middlewareOptions(forRequest({ scopes: ['https://vault.azure.net/.default'] })).get()

  t.match(world.entra.tokenRequests.map(({ body }) => body['scope']), [scope, 'https://vault.azure.net/.default'])
  t.not(callers[0]?.aud, callers[1]?.aud)
})

t.test('without requestAppToken and a managed identity, a Graph request is the caller\'s, and never silently the app\'s', async t => {
  const world = await startWorld(t)
  const { callers, clientOf } = await startGraph(t)
  const { authorizationHeaderProvider } = await buildIn(t, world)

  await t.rejects(clientOf(authorizationHeaderProvider).api('/me').get(), /callers are not validated/)
  await t.rejects(graphAuthenticationProvider(authorizationHeaderProvider).getAccessToken(), { code: 'FST_IDW_USER_TOKEN_REQUIRED' })
  t.strictSame(callers, [])
})

t.test('options of a request that are not right fail it, rather than call with another identity', async t => {
  const world = await startWorld(t)
  const { authorizationHeaderProvider } = await buildIn(t, world)
  const provider = graphAuthenticationProvider(authorizationHeaderProvider, { requestAppToken: true })

  for (const [options, message] of [
    [{ acquireTokenOptions: { managedIdentiy: {} } }, /authenticationProviderOptions\.acquireTokenOptions\.managedIdentiy: unknown key, did you mean managedIdentity\?/],
    [{ acquireTokenOption: { managedIdentity: {} } }, /authenticationProviderOptions\.acquireTokenOption: unknown key, did you mean acquireTokenOptions\?/],
    [{ scopes: 7 }, /authenticationProviderOptions\.scopes: expected a list/],
  ] as const) await t.rejects(provider.getAccessToken(options as never), { code: 'FST_IDW_CONFIG_INVALID', message })
  await t.rejects(provider.getAccessToken({ scopes: ['https://graph.microsoft.com/User.Read'] }), { code: 'FST_IDW_SCOPE_NOT_DEFAULT' })
  t.equal(world.entra.tokenRequests.length, 0)
})

t.test('the provider of a request calls with the identity that its route declares', async t => {
  const world = await startWorld(t)
  const { callers, clientOf } = await startGraph(t)
  const config = { ...appSettings(world.entra, world.todoApi.baseUrl), Graph: { BaseUrl: 'https://graph.microsoft.com/', Scopes: 'https://graph.microsoft.com/.default' } }
  const app = await build(t, { config }, app => {
    const declared = { config: { downstreamApi: { Graph: { identity: 'managed-identity' as const } } } }
    app.get('/me', declared, request => clientOf(request.authorizationHeaderProvider).api('/me').get())
    app.get('/other', declared, request => clientOf(request.authorizationHeaderProvider, { acquireTokenOptions: { managedIdentity: { userAssignedClientId } } }).api('/me').get())
  })

  t.strictSame((await app.inject('/me')).json(), { displayName: 'Ada' })
  t.equal((await app.inject('/other')).statusCode, 500)
  t.match(callers.map(({ azp }) => azp), [world.identities.systemAssigned.clientId])
})
