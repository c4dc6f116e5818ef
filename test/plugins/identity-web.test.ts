import t from 'tap'
import { inspect } from 'node:util'
import fastify, { type FastifyInstance } from 'fastify'
import type { ConfigurationError } from '../../lib/errors.ts'
import identityWeb from '../../plugins/index.ts'
import { build, buildIn, startWorld, type World } from '../fixtures/build.ts'
import { startRawServer, answerJson } from '../fixtures/raw-server.ts'
import { appSettings, clientId, scope, secret, tenantId } from '../fixtures/todo-api.ts'

const { stringify } = JSON
const todos = [{ id: 1, title: 'write the tests first' }]
const settingsOf = ({ entra, todoApi }: World) => appSettings(entra, todoApi.baseUrl)

function appFor (t: { teardown (work: () => unknown): unknown }): FastifyInstance {
  const app: FastifyInstance = fastify()
  t.teardown(() => app.close())
  return app
}

const faultsOf = (app: FastifyInstance) => app.ready().then(() => [], (error: ConfigurationError) => error.code === 'FST_IDW_CONFIG_INVALID' ? error.faults : [String(error)])

t.test('the plugin is known as fastify-identity-web, is for Fastify 5, and takes the instance and its options', async t => {
  const plugin = identityWeb as typeof identityWeb & Record<symbol, unknown>

  t.equal(plugin.length, 2, 'a third parameter would be a callback')
  t.strictSame(plugin[Symbol.for('plugin-meta')], { name: 'fastify-identity-web', fastify: '5.x' })
  t.equal(plugin[Symbol.for('fastify.display-name')], 'fastify-identity-web')
  t.equal(plugin[Symbol.for('skip-override')], true, 'what it decorates is there for its siblings')
  t.ok((await build(t, { downstreamApis: {} })).hasPlugin('fastify-identity-web'))
})

t.test('the instance and its requests are decorated, for the context of the plugin and those below', async t => {
  const world = await startWorld(t)
  const app = appFor(t)
  app.register(async scope => {
    await scope.register(identityWeb, { config: settingsOf(world) })
    scope.register(async below => below.get('/below', request => request.downstreamApi.getForApp('MyWebApi')))
    for (const name of ['downstreamApi', 'authorizationHeaderProvider', 'tokenAcquirer']) t.ok(scope.hasDecorator(name), name)
    for (const name of ['downstreamApi', 'authorizationHeaderProvider']) t.ok(scope.hasRequestDecorator(name), name)
  })
  app.register(async beside => beside.get('/beside', async request => [typeof request.downstreamApi, typeof beside.downstreamApi]))

  t.strictSame((await app.inject('/below')).json(), todos)
  t.strictSame((await app.inject('/beside')).json(), ['undefined', 'undefined'])
  t.notOk(app.hasDecorator('downstreamApi'))
})

t.test('siblings with different sections do not disturb each other', async t => {
  const [first, second] = [await startRawServer(t, (_, response) => answerJson(response, 200, 'first')), await startRawServer(t, (_, response) => answerJson(response, 200, 'second'))]
  const app = appFor(t)
  const apis = { first: { Api: { baseUrl: first.origin }, First: { baseUrl: first.origin } }, second: { Api: { baseUrl: second.origin }, Second: { baseUrl: second.origin } } }
  const route = { config: { downstreamApi: { Api: { relativePath: 'declared' } } } }
  for (const [name, downstreamApis] of Object.entries(apis)) {
    app.register(async scope => {
      await scope.register(identityWeb, { downstreamApis })
      // The same object in both: each reads it by its own configuration.
      scope.get('/', route, request => request.downstreamApi.getForApp('Api'))
      scope.get('/:name', request => request.downstreamApi.getForApp((request.params as { name: string }).name))
    }, { prefix: `/${name}` })
  }

  for (const name of ['first', 'second', 'first']) t.equal((await app.inject(`/${name}`)).body, name)
  t.strictSame([first, second].map(({ requests }) => requests.map(({ url }) => url)), [['/declared', '/declared'], ['/declared']])
  t.match((await app.inject('/first/Second')).json(), { code: 'FST_IDW_UNKNOWN_API' })
  t.match((await app.inject('/second/First')).json(), { code: 'FST_IDW_UNKNOWN_API' })
})

t.test('the fault of one sibling is told with its own route only', async t => {
  const app = appFor(t)
  for (const [prefix, name] of [['/good', 'Api'], ['/bad', 'Other']] as const) {
    app.register(async scope => {
      await scope.register(identityWeb, { downstreamApis: { [name]: { baseUrl: 'https://api.example/' } } })
      scope.get('/', { config: { downstreamApi: { Api: {} } } }, () => '')
    }, { prefix })
  }

  t.match(await faultsOf(app), [/^route GET \/bad\/? config\.downstreamApi\.Api: no downstream API/])
})

t.test('without any configuration, ready fails and says what to do', async t => {
  for (const options of [{}, { appSettings: false }, { tokenTimeout: 5 }]) {
    const app = appFor(t)
    app.register(identityWeb, options)

    t.match(await faultsOf(app), [/^there is no configuration: register a plugin that decorates fastify\.config before this one, or set the option config or appSettings$/])
  }
})

t.test('fastify.config that holds no section is a configuration, which has no API', async t => {
  const app = appFor(t)
  app.decorate('config', { PORT: '3000' } as never)
  await app.register(identityWeb)
  await app.ready()

  await t.rejects(app.downstreamApi.getForApp('MyWebApi'), { code: 'FST_IDW_UNKNOWN_API' })
  await t.rejects(app.tokenAcquirer.getTokenForApp(scope), { code: 'FST_IDW_NO_AUTHORITY' })
})

t.test('appSettings is true, a file or its folder; it goes before fastify.config', async t => {
  const world = await startWorld(t)
  const folder = t.testdir({ 'appsettings.json': stringify(settingsOf(world)) })
  const before = process.cwd()
  process.chdir(folder)
  t.teardown(() => process.chdir(before))

  for (const appSettings of [true, folder, `${folder}/appsettings.json`, 'appsettings.json']) {
    const app = appFor(t)
    app.decorate('config', { MyWebApi: { BaseUrl: 'https://other.example/' } } as never)
    await app.register(identityWeb, { appSettings })

    t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos, String(appSettings))
  }
  const app = appFor(t)
  app.register(identityWeb, { appSettings: 'nowhere' })
  t.match(await faultsOf(app), [/nowhere: there is no such file/])
})

t.test('the option config goes before fastify.config, which is read where there is none', async t => {
  const world = await startWorld(t)
  for (const [config, options] of [[{ MyWebApi: { BaseUrl: 'x' } }, { config: settingsOf(world) }], [settingsOf(world), { appSettings: false }]] as const) {
    const app = appFor(t)
    app.decorate('config', config as never)
    await app.register(identityWeb, options)

    t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos)
  }
})

t.test('a HEAD request is held to what its GET route declares', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world, {}, app => {
    const managed = { downstreamApi: { MyWebApi: { identity: 'managed-identity' as const } } }
    app.get('/todos', { config: managed }, request => request.downstreamApi.getForApp('MyWebApi'))
    app.head('/own', { config: managed }, async request => { await request.downstreamApi.getForApp('MyWebApi') })
    app.route({ method: ['GET', 'HEAD', 'POST'], url: '/several', config: managed, handler: request => request.downstreamApi.getForApp('MyWebApi') })
  })

  for (const url of ['/todos', '/own', '/several']) t.equal((await app.inject({ method: 'HEAD', url })).statusCode, 200, url)
  t.strictSame(world.todoApi.callers.map(({ oid }) => oid), Array(3).fill(world.identities.systemAssigned.objectId))
})

t.test('faults of every route are told, with method and path, also of routes that share their config', async t => {
  const app = appFor(t)
  await app.register(identityWeb, { downstreamApis: { Api: { baseUrl: 'https://api.example/' } } })
  const config = { downstreamApi: { Nothing: {} } }
  app.get('/one', { config }, () => '')
  app.get('/two', { config }, () => '')
  app.post('/one', { config }, () => '')
  app.head('/three', { config }, async () => {})
  app.route({ method: ['PUT', 'PATCH'], url: '/several', config: { downstreamApi: { Api: { timeout: 0 }, Other: {} }, auth: {} } as never, handler: () => '' })
  app.register(async below => below.get('/', { config }, () => ''), { prefix: '/below' })

  t.strictSame((await faultsOf(app)).map(fault => /^route (\S+ \S+) config\.(\S+):/.exec(fault)?.slice(1).join(' ')), [
    'GET /one downstreamApi.Nothing', 'GET /two downstreamApi.Nothing', 'POST /one downstreamApi.Nothing', 'HEAD /three downstreamApi.Nothing',
    'PUT,PATCH /several auth', 'PUT,PATCH /several downstreamApi.Api.timeout', 'PUT,PATCH /several downstreamApi.Other',
    'GET /below downstreamApi.Nothing',
  ])
})

t.test('what a route declares is what it was at registration', async t => {
  const world = await startWorld(t)
  const declared: { downstreamApi: Record<string, { identity: 'managed-identity' | 'client-credential' }> } = { downstreamApi: { MyWebApi: { identity: 'managed-identity' } } }
  const app = await buildIn(t, world, {}, app => app.get('/', { config: declared }, request => request.downstreamApi.getForApp('MyWebApi')))

  declared.downstreamApi['MyWebApi'] = { identity: 'client-credential' }

  t.equal((await app.inject('/')).statusCode, 200)
  t.match(world.todoApi.callers, [{ oid: world.identities.systemAssigned.objectId }])
})

t.test('an error that is no fault of a route passes as it is', async t => {
  const app = appFor(t)
  await app.register(identityWeb, { downstreamApis: {} })

  t.throws(() => app.get('/', { config: { downstreamApi: { get MyWebApi (): never { throw new Error('the vault is sealed') } } } }, () => ''), { message: 'the vault is sealed' })
})

t.test('requests that match no route have the clients too, bound to no declaration', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world, {}, app => app.setNotFoundHandler(request => request.downstreamApi.getForApp('MyWebApi')))

  t.strictSame((await app.inject('/nowhere')).json(), todos)
})

t.test('a request that chooses names and values chooses no identity', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world, {}, app => {
    app.get('/', { config: { downstreamApi: { MyWebApi: { identity: 'managed-identity' } } } }, request => request.downstreamApi.getForApp('MyWebApi', request.query as object))
  })

  for (const query of ['baseUrl=https://evil.example/', 'BaseUrl=https://evil.example/', 'optionsOverride.BaseUrl=x', 'identity=client-credential', 'acquireTokenOptions={"managedIdentity":null}', 'acquireTokenOptions=', '__proto__=x', 'constructor=x', 'name=Other']) {
    t.match((await app.inject(`/?${encodeURI(query)}`)).json(), { code: 'FST_IDW_CONFIG_INVALID' }, query)
  }
  t.match((await app.inject('/?requestAppToken=false')).json(), { code: 'FST_IDW_IDENTITY_NOT_ALLOWED' })
  t.equal(world.entra.tokenRequests.length, 0)
  t.match((await app.inject('/?retry=1')).json(), todos)
  t.match(world.todoApi.callers, [{ oid: world.identities.systemAssigned.objectId }])
})

t.test('no secret that is given in code is to be seen in the application', async t => {
  const { entra, todoApi } = await startWorld(t)
  const app = await build(t, { azureAd: { instance: entra.instance, tenantId, clientId, clientSecret: secret }, downstreamApis: { MyWebApi: { baseUrl: todoApi.baseUrl, relativePath: 'api/TodoList', scopes: scope } } }, app => {
    app.get('/', async request => [await request.downstreamApi.getForApp('MyWebApi'), inspect(request, { depth: 8, showHidden: true }).includes(secret)])
  })

  t.strictSame((await app.inject('/')).json(), [todos, false])
  t.notMatch(inspect(app, { depth: 8, showHidden: true }), secret)
})

t.test('registered twice in one context, the plugin fails as Fastify\'s own do', async t => {
  const app = appFor(t)
  app.register(identityWeb, { downstreamApis: {} })
  app.register(identityWeb, { downstreamApis: {} })

  await t.rejects(async () => app.ready(), { code: 'FST_ERR_DEC_ALREADY_PRESENT' })
})

t.test('the clients of a closed application acquire nothing', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world)
  const { downstreamApi, authorizationHeaderProvider } = app

  await app.close()

  await t.rejects(downstreamApi.getForApp('MyWebApi'), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED' })
  await t.rejects(authorizationHeaderProvider.createAuthorizationHeaderForApp(scope), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED' })
  t.equal(world.entra.tokenRequests.length, 0)
})
