import t from 'tap'
import fastify from 'fastify'
import identityWeb from '../../plugins/index.ts'
import { build, buildIn, startWorld, type World } from '../fixtures/build.ts'
import { appSettings, clientId, scope, userAssignedClientId } from '../fixtures/todo-api.ts'

const get = (url: string, headers: Record<string, string> = {}) => ({ method: 'GET' as const, url, headers })
const notAllowed = { statusCode: 500, code: 'FST_IDW_IDENTITY_NOT_ALLOWED' }

t.test('each route calls with the identity that it declares', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world, {}, app => {
    app.get('/app', { config: { downstreamApi: { MyWebApi: { identity: 'client-credential' } } } }, request => request.downstreamApi.getForApp('MyWebApi'))
    app.get('/system', { config: { downstreamApi: { MyWebApi: { identity: 'managed-identity' } } } }, request => request.downstreamApi.getForApp('MyWebApi'))
    app.get('/user-assigned', { config: { downstreamApi: { MyWebApi: { identity: 'managed-identity', acquireTokenOptions: { managedIdentity: { userAssignedClientId } } } } } }, request => request.downstreamApi.callApi('MyWebApi').then(response => response.json()))
  })

  for (const url of ['/app', '/system', '/user-assigned']) t.match((await app.inject(get(url))).json(), [{ id: 1 }], url)

  const { systemAssigned } = world.identities
  t.match(world.todoApi.callers.map(({ azp }) => azp), [clientId, systemAssigned.clientId, userAssignedClientId])
})

t.test('client-credential takes back the managed identity of the section', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world, { ManagedIdentity: {} }, app => {
    app.get('/', { config: { downstreamApi: { MyWebApi: { identity: 'client-credential' } } } }, request => request.downstreamApi.getForApp('MyWebApi'))
  })

  t.equal((await app.inject(get('/'))).statusCode, 200)
  t.match(world.todoApi.callers, [{ azp: clientId }])
})

t.test('the options of a route are merged over the section', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world, {}, app => {
    app.get('/:id', { config: { downstreamApi: { MyWebApi: { relativePath: 'api/TodoList/{id}' } } } }, request => request.downstreamApi.getForApp('MyWebApi', { pathParameters: { id: (request.params as { id: string }).id } }))
  })

  t.strictSame((await app.inject(get('/7'))).json(), { id: 7 })
})

t.test('a route reaches an API with no other identity than the declared one', async t => {
  const world = await startWorld(t)
  const declared = (identity: 'client-credential' | 'managed-identity', more = {}) => ({ config: { downstreamApi: { MyWebApi: { identity, ...more } } } })
  const app = await buildIn(t, world, {}, app => {
    const { downstreamApi: instance } = app
    app.get('/other-kind', declared('client-credential'), request => request.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { managedIdentity: {} } }))
    app.get('/other-identity', declared('managed-identity'), request => request.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { managedIdentity: { userAssignedClientId } } }))
    app.get('/by-function', declared('managed-identity'), request => request.downstreamApi.getForApp('MyWebApi', options => { options.acquireTokenOptions = {} }))
    app.get('/as-user', declared('managed-identity'), request => request.downstreamApi.getForUser('MyWebApi'))
    app.get('/not-as-app', declared('client-credential'), request => request.downstreamApi.callApi('MyWebApi', { requestAppToken: false }))
    app.get('/other-section', declared('client-credential'), request => request.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { authenticationOptionsName: 'AzureAd' } }))
    app.get('/header', declared('managed-identity'), request => request.authorizationHeaderProvider.createAuthorizationHeaderForApp(scope, { acquireTokenOptions: { managedIdentity: { userAssignedClientId } } }))
    app.get('/header-as-user', declared('managed-identity'), request => request.authorizationHeaderProvider.createAuthorizationHeaderForUser(scope))
    app.get('/header-not-as-app', declared('client-credential'), request => request.authorizationHeaderProvider.createAuthorizationHeader(scope, { requestAppToken: false }))
    app.get('/instance', declared('managed-identity'), () => instance.getForApp('MyWebApi'))
  })

  for (const url of ['/other-kind', '/other-identity', '/by-function', '/as-user', '/not-as-app', '/other-section', '/header', '/header-as-user', '/header-not-as-app']) {
    t.match((await app.inject(get(url))).json(), notAllowed, url)
  }
  t.equal(world.entra.tokenRequests.length, 0)
  t.equal((await app.inject(get('/instance'))).statusCode, 200, 'the instance is bound to no route')
})

t.test('the header provider of a request uses the identity that the route declares for the resource', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world, {}, app => {
    app.get('/header', { config: { downstreamApi: { MyWebApi: { identity: 'managed-identity', acquireTokenOptions: { managedIdentity: { userAssignedClientId } } } } } }, async request => {
      const provider = request.authorizationHeaderProvider
      const { identity } = await provider.createAuthorizationHeaderInformationForApp(scope)
      const other = await provider.createAuthorizationHeaderInformation('https://graph.microsoft.com/.default', { requestAppToken: true })
      return [identity, (await provider.createAuthorizationHeaderInformation([scope])).identity, other.identity]
    })
  })

  t.strictSame((await app.inject(get('/header'))).json(), ['managed-identity', 'managed-identity', 'client-credential'])
})

t.test('where a route declares none, the method decides as in .NET', async t => {
  const world = await startWorld(t)
  const config = { ...appSettings(world.entra, world.todoApi.baseUrl), Managed: appSettings(world.entra, world.todoApi.baseUrl, { ManagedIdentity: {} }).MyWebApi, AsUser: { ...appSettings(world.entra, world.todoApi.baseUrl).MyWebApi, RequestAppToken: false } }
  const app = await build(t, { config })
  const api = app.downstreamApi

  await api.callApi('MyWebApi')
  await api.callApi('Managed')
  await api.getForApp('AsUser')
  t.match(world.todoApi.callers.map(({ azp }) => azp), [clientId, world.identities.systemAssigned.clientId, clientId])

  await t.rejects(api.getForUser('Managed'), { code: 'FST_IDW_IDENTITY_NOT_ALLOWED' })
  await t.rejects(api.callApiForUser('Managed'), { code: 'FST_IDW_IDENTITY_NOT_ALLOWED' })
  for (const call of [() => api.callApi('AsUser'), () => api.getForUser('MyWebApi'), () => api.callApiForUser('AsUser'), () => app.tokenAcquirer.getTokenForUser(scope), () => app.authorizationHeaderProvider.createAuthorizationHeader(scope), () => app.authorizationHeaderProvider.createAuthorizationHeaderForUser([scope])]) {
    await t.rejects(call, { code: 'FST_IDW_USER_TOKEN_REQUIRED', statusCode: 401 })
  }
})

t.test('faults of all routes fail ready at once, each with its route', async t => {
  const world = await startWorld(t)
  const app = fastify()
  t.teardown(() => app.close())
  const config = { ...appSettings(world.entra, world.todoApi.baseUrl), Open: { BaseUrl: world.todoApi.baseUrl } }
  await app.register(identityWeb, { config })
  const route = (url: string, config: object) => app.get(url, { config }, () => '')
  route('/unknown-api', { downstreamApi: { mywebapi: {} } })
  route('/unknown-identity', { downstreamApi: { MyWebApi: { identity: 'managed' } } })
  route('/unknown-key', { downstreamApi: { MyWebApi: { relativPath: 'x' } } })
  route('/user', { downstreamApi: { MyWebApi: { identity: 'user' } } })
  route('/anonymous', { downstreamApi: { Open: { identity: 'client-credential' } } })
  route('/contradiction', { downstreamApi: { MyWebApi: { identity: 'client-credential', acquireTokenOptions: { managedIdentity: {} } } } })
  route('/no-object', { downstreamApi: 'MyWebApi' })
  route('/no-options', { downstreamApi: { MyWebApi: null } })
  route('/auth', { auth: { scopes: ['Todo.Read'] } })

  const error = await app.ready().then(() => undefined, (error: Error & { code: string }) => error)

  t.equal(error?.code, 'FST_IDW_CONFIG_INVALID')
  for (const line of [
    /GET \/unknown-api config\.downstreamApi\.mywebapi: .*MyWebApi/, /GET \/unknown-identity .*identity: expected 'client-credential'/, /GET \/unknown-key .*relativPath: .*relativePath/,
    /GET \/user .*inbound/, /GET \/anonymous .*no scopes/, /GET \/contradiction .*contradicts/, /GET \/no-object .*expected an object/, /GET \/no-options .*expected an object/, /GET \/auth config\.auth: .*inbound/,
  ]) t.match(error?.message, line)
  t.equal(error?.message.split('\n').length, 10, 'each once, although Fastify adds a HEAD route to every GET route')
})

t.test('a client-credential route without a complete app section fails ready', async t => {
  const world = await startWorld(t)
  const { MyWebApi } = appSettings(world.entra, world.todoApi.baseUrl, { ManagedIdentity: {} })
  for (const [AzureAd, message] of [[undefined, /there is none/], [{ Instance: world.entra.instance, TenantId: 'common' }, /lacks ClientId/]] as const) {
    await t.rejects(build(t, { config: { AzureAd, MyWebApi } }, app => {
      app.get('/', { config: { downstreamApi: { MyWebApi: { identity: 'client-credential' } } } }, () => '')
    }), { code: 'FST_IDW_CONFIG_INVALID', message })
  }
})

t.test('a route that was registered before the plugin is held to its declaration all the same', async t => {
  const world = await startWorld(t)
  const app = fastify()
  t.teardown(() => app.close())
  app.get('/good', { config: { downstreamApi: { MyWebApi: { identity: 'managed-identity' } } } }, request => request.downstreamApi.getForApp('MyWebApi'))
  app.get('/bad', { config: { downstreamApi: { MyWebApi: { identity: 'user' } } } }, request => request.downstreamApi.getForApp('MyWebApi'))
  await app.register(identityWeb, { config: appSettings(world.entra, world.todoApi.baseUrl) })

  t.equal((await app.inject(get('/good'))).statusCode, 200)
  t.match((await app.inject(get('/bad'))).json(), { code: 'FST_IDW_CONFIG_INVALID' })
  t.match(world.todoApi.callers, [{ oid: world.identities.systemAssigned.objectId }])
})

t.test('two registrations in sibling contexts do not disturb each other', async t => {
  const [one, two] = [await startWorld(t), await startWorld(t)] as [World, World]
  const app = fastify()
  t.teardown(() => app.close())
  for (const [prefix, world] of [['/one', one], ['/two', two]] as const) {
    app.register(async scope => {
      await scope.register(identityWeb, { config: appSettings(world.entra, world.todoApi.baseUrl) })
      scope.get('/', request => request.downstreamApi.getForApp('MyWebApi'))
    }, { prefix })
  }

  for (const url of ['/one', '/two', '/one']) t.equal((await app.inject(get(url))).statusCode, 200)
  t.equal(one.todoApi.callers.length, 2)
  t.equal(two.todoApi.callers.length, 1)
  t.equal(one.entra.tokenRequests.length, 1)
  t.equal(two.entra.tokenRequests.length, 1)
})

t.test('the clients of a request are made once, and only when asked for', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world, {}, app => {
    app.get('/', async request => {
      const { downstreamApi, authorizationHeaderProvider } = request
      return [request.downstreamApi === downstreamApi, request.authorizationHeaderProvider === authorizationHeaderProvider, downstreamApi === app.downstreamApi]
    })
  })
  t.strictSame((await app.inject(get('/'))).json(), [true, true, false])
  t.strictSame((await app.inject(get('/'))).json(), [true, true, false])
})

t.test('a call of a request ends when its client goes away', async t => {
  const world = await startWorld(t)
  world.entra.fail({ endpoint: 'token', hang: true })
  let outcome: unknown
  let end = () => {}
  const ended = new Promise<void>(resolve => { end = resolve })
  const app = await buildIn(t, world, {}, app => {
    app.get('/', async request => {
      try {
        return await request.downstreamApi.getForApp('MyWebApi')
      } catch (error) {
        outcome = error
        throw error
      } finally {
        end()
      }
    })
  })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const client = new AbortController()

  const response = fetch(address, { signal: client.signal }).catch(() => {})
  while (world.entra.tokenRequests.length === 0) await new Promise(resolve => setImmediate(resolve))
  client.abort()
  await ended
  await response

  t.match(outcome, { name: 'AbortError' })
})

t.test('the header provider holds every spelling of a resource to what the route declares', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world, {}, app => {
    app.get('/', { config: { downstreamApi: { MyWebApi: { identity: 'managed-identity' } } } }, async request =>
      request.authorizationHeaderProvider.createAuthorizationHeaderInformationForApp(scope.replace('api://', '')))
  })

  t.match((await app.inject(get('/'))).json(), { identity: 'managed-identity' })
})

t.test('a route\'s identity and its other options are checked together, in any letter case of the keys', async t => {
  const world = await startWorld(t)
  await t.rejects(buildIn(t, world, {}, app => {
    app.get('/', { config: { downstreamApi: { MyWebApi: { Identity: 'managed', timeout: 0 } } } } as never, () => '')
  }), { code: 'FST_IDW_CONFIG_INVALID', faults: [/MyWebApi\.Identity: expected 'client-credential'/, /MyWebApi\.timeout: /] } as never)

  const app = await buildIn(t, world, {}, app => {
    app.get('/', { config: { downstreamApi: { MyWebApi: { Identity: 'managed-identity' } } } } as never, request => request.downstreamApi.getForApp('MyWebApi'))
  })
  t.equal((await app.inject(get('/'))).statusCode, 200)
  t.equal(world.todoApi.callers.at(-1)?.['azp'], world.identities.systemAssigned.clientId)
})

t.test('an id is the same in any letter case', async t => {
  const world = await startWorld(t)
  const { resourceId, clientId: assigned } = world.identities.userAssigned
  const declared = (managedIdentity: object) => ({ config: { downstreamApi: { MyWebApi: { identity: 'managed-identity' as const, acquireTokenOptions: { managedIdentity } } } } })
  const app = await buildIn(t, world, {}, app => {
    app.get('/resource', declared({ userAssignedResourceId: resourceId }), request => request.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { managedIdentity: { userAssignedResourceId: resourceId!.toUpperCase() } } }))
    app.get('/client', declared({ userAssignedClientId: assigned }), request => request.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { managedIdentity: { userAssignedClientId: assigned.toUpperCase() } } }))
  })

  for (const url of ['/resource', '/client']) t.match((await app.inject(get(url))).json(), [{ id: 1 }], url)
})
