import t from 'tap'
import fastify, { type FastifyInstance } from 'fastify'
import identityWeb, { type FastifyIdentityWebOptions } from '../../plugins/index.ts'
import { logOf, startWorld } from '../fixtures/build.ts'
import { appSettings, scope, secret } from '../fixtures/todo-api.ts'

type Tap = Parameters<typeof startWorld>[0]

function appWith (t: Tap, options: FastifyIdentityWebOptions, routes: (app: FastifyInstance) => void = () => {}, pluginTimeout = 10_000) {
  const { log, lines } = logOf()
  const app = fastify({ logger: { level: 'warn', stream: log }, pluginTimeout }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  app.register(identityWeb, options).after(() => routes(app))
  return { app, lines }
}

t.test('prewarm acquires the tokens of the app before the application is ready, and the first call finds them', async t => {
  const { entra, todoApi } = await startWorld(t)
  const { app } = appWith(t, { config: appSettings(entra, todoApi.baseUrl), prewarm: true })

  await app.ready()

  t.equal(entra.tokenRequests.length, 1)
  t.equal((await app.tokenAcquirer.getTokenForApp(scope)).tokenSource, 'cache')
})

t.test('what routes declare is acquired too, each identity once', async t => {
  const { entra, todoApi } = await startWorld(t)
  const declared = (identity: 'client-credential' | 'managed-identity') => ({ config: { downstreamApi: { MyWebApi: { identity } } } })
  const { app } = appWith(t, { config: appSettings(entra, todoApi.baseUrl), prewarm: ['MyWebApi'] }, app => {
    app.get('/a', declared('client-credential'), () => '')
    app.get('/b', declared('managed-identity'), () => '')
    app.get('/c', declared('managed-identity'), () => '')
    app.get('/d', { config: { downstreamApi: { MyWebApi: { relativePath: 'x' } } } }, () => '')
  })

  await app.ready()

  t.strictSame(entra.tokenRequests.map(({ endpoint }) => endpoint).sort(), ['managed-identity', 'token'])
})

t.test('APIs that are called on behalf of the user only, and those without scopes, need no token ahead unless they are named', async t => {
  const { entra, todoApi } = await startWorld(t)
  const { AzureAd, MyWebApi } = appSettings(entra, todoApi.baseUrl)
  const config = { AzureAd, MyWebApi: { ...MyWebApi, RequestAppToken: false }, Open: { BaseUrl: todoApi.baseUrl } }
  await appWith(t, { config, prewarm: true }).app.ready()
  await appWith(t, { config }).app.ready()
  t.equal(entra.tokenRequests.length, 0)

  await appWith(t, { config, prewarm: ['MyWebApi', 'Open'] }).app.ready()
  t.equal(entra.tokenRequests.length, 1)
})

t.test('an endpoint that comes up late is tried again within the limit', async t => {
  const { entra, todoApi } = await startWorld(t)
  entra.fail({ status: 503, retryAfter: 0, times: 4 })
  const { app } = appWith(t, { config: appSettings(entra, todoApi.baseUrl), prewarm: true }, () => {}, 0)

  await app.ready()

  t.equal(entra.tokenRequests.length, 5)
})

t.test('a token that cannot be acquired fails the start, and the message names each with its reason', async t => {
  const { entra, todoApi } = await startWorld(t)
  entra.fail({ error: 'invalid_client', errorCodes: [7000215], status: 401, times: 10, endpoint: 'token' })
  const config = appSettings(entra, todoApi.baseUrl)
  const { app } = appWith(t, { config: { ...config, Other: { ...config.MyWebApi, Scopes: 'api://other/.default' } }, prewarm: true })

  const error = await app.ready().then(() => undefined, (error: Error) => error)

  t.match(error, { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', retryable: false })
  t.match(error?.message, /- MyWebApi as client-credential: No token: .*AADSTS7000215/)
  t.match(error?.message, /- Other as client-credential: No token: /)
  t.notMatch(JSON.stringify(error), secret)
})

t.test('with prewarmFailure "warn" the application starts without the token, and says so', async t => {
  const { entra, todoApi } = await startWorld(t)
  entra.fail({ error: 'invalid_client', errorCodes: [7000215], status: 401, endpoint: 'token' })
  const { app, lines } = appWith(t, { config: appSettings(entra, todoApi.baseUrl), prewarm: true, prewarmFailure: 'warn' })

  await app.ready()

  t.match(lines, [{ api: 'MyWebApi', identity: 'client-credential', err: { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED' }, msg: /could not be acquired ahead/ }])
  t.match(await app.downstreamApi.getForApp('MyWebApi'), [{ id: 1 }])
})

t.test('an endpoint that never answers fails the start with its reason before Fastify gives up on the hook', async t => {
  const { entra, todoApi } = await startWorld(t)
  entra.fail({ hang: true, times: 10 })
  const { app } = appWith(t, { config: appSettings(entra, todoApi.baseUrl), prewarm: true }, () => {}, 500)

  await t.rejects(async () => app.ready(), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', message: /MyWebApi as client-credential: there was no token within 400 ms/ })
})

t.test('a name that no API has is a fault of the configuration', async t => {
  const { entra, todoApi } = await startWorld(t)
  const { app } = appWith(t, { config: appSettings(entra, todoApi.baseUrl), prewarm: ['MyWebAip'] })
  await t.rejects(async () => app.ready(), { code: 'FST_IDW_CONFIG_INVALID', message: /options\.prewarm: there is no downstream API "MyWebAip"/ })
})
