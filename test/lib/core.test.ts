import t from 'tap'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { TokenAcquirerFactory, type TokenAcquirerFactoryOptions } from '../../lib/core.ts'
import { startWorld } from '../fixtures/build.ts'
import { appSettings, clientId, scope, secret, tenantId } from '../fixtures/todo-api.ts'

const { stringify } = JSON
const todos = [{ id: 1, title: 'write the tests first' }]

/** The factory over these options, which is closed when the test ends. */
function factoryOf (t: { teardown (work: () => unknown): unknown }, options: TokenAcquirerFactoryOptions): TokenAcquirerFactory {
  const factory = TokenAcquirerFactory.getDefaultInstance(options)
  t.teardown(() => factory.close())
  return factory
}

/** Makes a folder the working directory, until the test ends. */
function workIn (t: { teardown (work: () => unknown): unknown }, folder: string) {
  const before = process.cwd()
  process.chdir(folder)
  t.teardown(() => process.chdir(before))
}

function logger () {
  const warnings: unknown[] = []
  const ignore = () => {}
  return { warnings, debug: ignore, info: ignore, error: ignore, warn: (warning: unknown) => { warnings.push(warning) } }
}

t.test('a daemon calls from the appsettings.json of its working directory, with client secret and managed identity, and ends by itself', async t => {
  const { entra, todoApi } = await startWorld(t)
  const { AzureAd, MyWebApi } = appSettings(entra, todoApi.baseUrl)
  const cwd = t.testdir({ 'appsettings.json': `// of the daemon\n${stringify({ AzureAd: { ...AzureAd, ClientCredentials: [{ SourceType: 'ClientSecret' }], CallbackPath: '/signin-oidc' }, MyWebApi })}` })
  const script = fileURLToPath(new URL('../fixtures/processes/daemon-default-instance.ts', import.meta.url))

  const child = spawn(process.execPath, [...process.execArgv, script], { cwd, env: { ...process.env, ...entra.env, AzureAd__ClientCredentials__0__ClientSecret: secret, TEST_SCOPE: scope }, timeout: 30_000 })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) child[name].on('data', chunk => { output[name] += chunk })
  const [code, signal] = await once(child, 'close')

  t.strictSame({ code, signal, stdout: output.stdout.trim().split('\n') }, {
    code: 0,
    signal: null,
    stdout: ['client-credential: 1 item, cache', 'managed-identity: 1 item, cache', 'same: true', 'new after close: true', 'closing the old one again leaves the new one: true'],
  })
  t.match(output.stderr.trim().split('\n').map(line => JSON.parse(line) as unknown), [{ name: 'fastify-identity-web', level: 40, msg: 'configuration warning', configuration: 'AzureAd: CallbackPath has no effect here' }, { level: 40 }], 'warnings go to standard error, and nothing else does')
  t.notMatch(output, new RegExp(secret.slice(0, 12)))
})

t.test('the default instance is the same until it is closed, and options give a new one every time', async t => {
  const { entra, todoApi } = await startWorld(t)
  const config = appSettings(entra, todoApi.baseUrl)
  workIn(t, t.testdir({ 'appsettings.json': stringify(config) }))

  const factory = TokenAcquirerFactory.getDefaultInstance()
  t.teardown(() => factory.close())
  const [one, two, none] = [factoryOf(t, { config }), factoryOf(t, { config }), factoryOf(t, {})]

  t.equal(new Set([factory, one, two, none]).size, 4)
  t.equal(TokenAcquirerFactory.getDefaultInstance(), factory)
  await one.close()
  t.equal(TokenAcquirerFactory.getDefaultInstance(), factory, 'the end of another one changes nothing')

  await factory.close()
  const next = TokenAcquirerFactory.getDefaultInstance()
  t.teardown(() => next.close())
  t.not(next, factory)
  t.strictSame(await next.downstreamApi.getForApp('MyWebApi'), todos)
})

t.test('a default instance that cannot be made is not kept', async t => {
  const { entra, todoApi } = await startWorld(t)
  workIn(t, t.testdir({ empty: {}, full: { 'appsettings.json': stringify(appSettings(entra, todoApi.baseUrl)) } }))

  process.chdir('empty')
  t.throws(() => TokenAcquirerFactory.getDefaultInstance(), { code: 'FST_IDW_CONFIG_INVALID', message: /appsettings\.json: there is no such file/ })
  process.chdir('../full')
  const factory = TokenAcquirerFactory.getDefaultInstance()
  t.teardown(() => factory.close())

  t.strictSame(await factory.downstreamApi.getForApp('MyWebApi'), todos)
})

t.test('the three clients work with the client secret and with the managed identity', async t => {
  const { entra, todoApi, identities } = await startWorld(t)
  const factory = factoryOf(t, { path: t.testdir({ 'appsettings.json': stringify(appSettings(entra, todoApi.baseUrl)) }) })
  const call = async (authorization: string) => (await fetch(`${todoApi.baseUrl}api/TodoList`, { headers: { authorization } })).json()

  for (const acquireTokenOptions of [{}, { managedIdentity: {} }]) {
    t.strictSame(await factory.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions }), todos)
    t.strictSame(await call(await factory.authorizationHeaderProvider.createAuthorizationHeaderForApp(scope, { acquireTokenOptions })), todos)
    const { accessToken, tokenType } = await factory.tokenAcquirer.getTokenForApp(scope, acquireTokenOptions)
    t.strictSame(await call(`${tokenType} ${accessToken}`), todos)
  }
  t.match(todoApi.callers.map(({ azp }) => azp), [...Array(3).fill(clientId), ...Array(3).fill(identities.systemAssigned.clientId)])
  t.equal(entra.tokenRequests.length, 2, 'on one cache')
})

t.test('two instances share no token', async t => {
  const { entra, todoApi } = await startWorld(t)
  const config = appSettings(entra, todoApi.baseUrl)

  for (const factory of [factoryOf(t, { config }), factoryOf(t, { config })]) t.equal((await factory.tokenAcquirer.getTokenForApp(scope)).tokenSource, 'identity-provider')
})

t.test('options in code need no file; where there is one, it is read', async t => {
  const { entra, todoApi } = await startWorld(t)
  const { AzureAd, MyWebApi } = appSettings(entra, todoApi.baseUrl)
  const azureAd = { instance: entra.instance, tenantId, clientId, clientSecret: secret }
  const downstreamApis = { MyWebApi: { baseUrl: todoApi.baseUrl, relativePath: 'api/TodoList', scopes: [scope] } }
  workIn(t, t.testdir({ empty: {}, full: { 'appsettings.json': stringify({ AzureAd, MyWebApi }) } }))

  process.chdir('empty')
  t.strictSame(await factoryOf(t, { azureAd, downstreamApis }).downstreamApi.getForApp('MyWebApi'), todos)
  t.ok((await factoryOf(t, { azureAd }).tokenAcquirer.getTokenForApp(scope)).accessToken)
  t.strictSame(await factoryOf(t, { downstreamApis: { MyWebApi: { ...downstreamApis.MyWebApi, acquireTokenOptions: { managedIdentity: {} } } } }).downstreamApi.getForApp('MyWebApi'), todos)
  for (const options of [{ downstreamApis: ['MyWebApi'] }, { azureAd: 'AzureAd' }, { azureAd, downstreamApis, path: '.' }, { tokenTimeout: 5 }]) {
    t.throws(() => TokenAcquirerFactory.getDefaultInstance(options), { code: 'FST_IDW_CONFIG_INVALID', message: /appsettings\.json: there is no such file/ })
  }
  process.chdir('../full')
  t.strictSame(await factoryOf(t, { downstreamApis }).downstreamApi.getForApp('MyWebApi'), todos)
})

t.test('no secret is to be seen in a factory, before and after it has called', async t => {
  const { entra, todoApi } = await startWorld(t)
  const { AzureAd, MyWebApi } = appSettings(entra, todoApi.baseUrl)
  for (const options of [{ config: { AzureAd, MyWebApi } }, { azureAd: { instance: entra.instance, tenantId, clientId, clientSecret: secret }, config: { MyWebApi } }]) {
    const factory = factoryOf(t, options)
    for (const times of ['before', 'after']) {
      t.notMatch(inspect(factory, { depth: 12, showHidden: true, getters: true }) + stringify(factory), secret.slice(0, 10), times)
      await factory.downstreamApi.getForApp('MyWebApi')
    }
  }
})

t.test('warnings and log lines go to the logger that is given', async t => {
  const { entra, todoApi } = await startWorld(t)
  const { AzureAd, MyWebApi } = appSettings(entra, todoApi.baseUrl)
  const log = logger()
  factoryOf(t, { config: { AzureAd: { ...AzureAd, Authority: 'https://login.microsoftonline.com/other' }, MyWebApi }, logger: log })

  t.strictSame(log.warnings, [{ configuration: 'AzureAd.Authority: ignored, since Instance or TenantId is given' }])
})

t.test('every fault of the options and of the settings is told at once', async t => {
  const path = t.testdir({ 'appsettings.json': stringify({ AzureAd: { Instanc: 'x' }, MyWebApi: { BaseUrl: 'http://api.example', Scpoes: 'a' } }) })

  for (const [options, faults] of [
    [{ path, tokenTimeuot: 5 }, [/^options\.tokenTimeuot: .*did you mean tokenTimeout\?$/, /^AzureAd\.Instanc: .*did you mean Instance\?$/, /^MyWebApi\.Scpoes: .*did you mean Scopes\?$/, /^MyWebApi\.BaseUrl: /]],
    [{ path: 7 }, [/^path: expected the path of a file or folder$/]],
  ] as const) {
    t.throws(() => TokenAcquirerFactory.getDefaultInstance(options as never), { code: 'FST_IDW_CONFIG_INVALID', faults } as never)
  }
})

t.test('close may be called twice, and ends what is under way', async t => {
  const { entra, todoApi } = await startWorld(t)
  const factory = factoryOf(t, { config: appSettings(entra, todoApi.baseUrl) })
  entra.fail({ hang: true })
  const outcome = t.rejects(factory.tokenAcquirer.getTokenForApp(scope), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', message: /closing/ })

  await Promise.all([factory.close(), factory.close()])

  await outcome
  await factory.close()
})

t.test('a daemon is told at its start of a certificate on this machine that cannot be used', async t => {
  const { entra, todoApi } = await startWorld(t)
  const { AzureAd, MyWebApi } = appSettings(entra, todoApi.baseUrl)
  const log = logger()
  factoryOf(t, { config: { AzureAd: { ...AzureAd, ClientCredentials: [{ SourceType: 'Path', CertificateDiskPath: '/nowhere/a.pem' }] }, MyWebApi }, logger: log })
  while (log.warnings.length === 0) await new Promise(resolve => setImmediate(resolve))

  t.match(log.warnings, [{ credential: 'AzureAd.ClientCredentials[0]', err: { message: /^there is no such file/ } }])
})
