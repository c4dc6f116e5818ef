import t from 'tap'
import { inspect } from 'node:util'
import { build, logOf, startWorld } from '../fixtures/build.ts'
import { bearer, ordersScope, startOrdersWorld } from '../fixtures/orders-api.ts'
import { startRawServer } from '../fixtures/raw-server.ts'
import { appSettings, clientId, scope, secret, tenantId } from '../fixtures/todo-api.ts'

/** Everything that can be seen of a value: own and hidden properties, JSON, text, and the same of its causes. */
function seen (value: unknown): string {
  const cause = value instanceof Error && value.cause !== undefined ? seen(value.cause) : ''
  return [inspect(value, { depth: 12, showHidden: true, getters: true }), JSON.stringify(value), String(value), value instanceof Error ? value.stack : '', cause].join('\n')
}

function assertNone (t: Tap, secrets: readonly string[], text: string, where: string) {
  for (const secret of secrets) {
    // Eight characters in a row are too many.
    for (let at = 0; at + 8 <= secret.length; at += 4) {
      const part = secret.slice(at, at + 8)
      if (text.includes(part)) return t.fail(`${where} holds ${JSON.stringify(part)}`)
    }
  }
  return t.pass(where)
}
interface Tap { fail (message: string): unknown, pass (message: string): unknown }

t.test('no token, secret or identity header is in any log line, also at trace level, of calls that succeed and that fail', async t => {
  const world = await startWorld(t)
  const { log, lines } = logOf()
  const app = await build(t, { config: appSettings(world.entra, world.todoApi.baseUrl) }, app => {
    app.get('/todos', request => request.downstreamApi.getForApp('MyWebApi'))
    app.get('/missing', request => request.downstreamApi.getForApp('MyWebApi', 'missing'))
    app.get('/managed', { config: { downstreamApi: { MyWebApi: { identity: 'managed-identity' } } } }, request => request.downstreamApi.getForApp('MyWebApi'))
  }, log)
  const token = await app.tokenAcquirer.getTokenForApp(scope)
  world.entra.fail({ status: 503, endpoint: 'managed-identity' })
  for (const url of ['/todos', '/missing', '/managed', '/managed']) await app.inject(url)
  const managed = await app.tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} })

  t.ok(lines.length > 8)
  // The header of a token is the same in all of them, and says nothing.
  const signed = [token, managed].map(({ accessToken }) => accessToken.split('.').slice(1).join('.'))
  assertNone(t, [...signed, secret, world.entra.env['IDENTITY_HEADER']!], JSON.stringify(lines), 'the log')
  assertNone(t, [...signed, secret], inspect(app, { depth: 8, showHidden: true }), 'the application')
  assertNone(t, [...signed, secret], seen([app.downstreamApi, app.tokenAcquirer, app.authorizationHeaderProvider]), 'the clients')
})

t.test('no secret is in an error of Entra ID, also when it echoes what it was sent', async t => {
  const world = await startWorld(t)
  const echo = await startRawServer(t, ({ body, headers }, response) => response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ error: 'invalid_request', error_description: `AADSTS900144: ${decodeURIComponent(body)} ${body} ${JSON.stringify(headers)}`, error_codes: [900144] })))
  const settings = appSettings(world.entra, world.todoApi.baseUrl)
  for (const config of [settings, { ...settings, AzureAd: { ...settings.AzureAd, Instance: echo.origin } }, { ...settings, AzureAd: { ...settings.AzureAd, Instance: 'http://127.0.0.1:1/' } }]) {
    world.entra.fail({ status: 401, error: 'invalid_client', errorCodes: [7000215] })
    const app = await build(t, { config })
    const error = await app.tokenAcquirer.getTokenForApp(scope).then(() => undefined, (error: unknown) => error)
    t.match(error, { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED' })
    assertNone(t, [secret, encodeURIComponent(secret)], seen(error), 'the error')
  }
})

t.test('no token of a user, refresh token or session key is in a log line or an error, also when Entra ID echoes them', async t => {
  const world = await startOrdersWorld(t)
  const refreshToken = 'a-refresh-token-0123456789abcdefghijklmnopqrstuvwxyz'
  let answers = 0
  const echo = await startRawServer(t, ({ body, headers }, response) => {
    const echoed = JSON.stringify({ error: 'invalid_grant', error_description: `AADSTS50013: ${decodeURIComponent(body)} ${body} ${JSON.stringify(headers)}`, error_codes: [50013] })
    const given = JSON.stringify({ access_token: 'opaque', token_type: 'Bearer', expires_in: 3599, refresh_token: refreshToken })
    const isFirst = answers++ === 0
    response.writeHead(isFirst ? 200 : 400, { 'content-type': 'application/json' }).end(isFirst ? given : echoed)
  })
  const { log, lines } = logOf()
  const { AzureAd, Orders } = world.config
  const config = { AzureAd, Orders, Echo: { ...AzureAd, Instance: echo.origin }, Nobody: { ...AzureAd, Instance: 'http://127.0.0.1:1/' } }
  const app = await build(t, { config, inbound: true }, app => {
    app.get('/mine', { config: { auth: {} } }, request => request.downstreamApi.getForUser('Orders', { acquireTokenOptions: { authenticationOptionsName: 'Echo' } }))
  }, log)
  const token = await world.entra.issueUserToken()
  const options = { longRunningWebApiSessionKey: 'AllocateForMe', authenticationOptionsName: 'Echo' }
  await app.tokenAcquirer.getTokenForUser(ordersScope, options, token)
  const { longRunningWebApiSessionKey: key } = options
  const secrets = [token.split('.').slice(1).join('.'), refreshToken, key, secret]

  const calls = [
    () => app.tokenAcquirer.getTokenForUser(ordersScope, { authenticationOptionsName: 'Echo' }, token),
    () => app.tokenAcquirer.getTokenForUser(ordersScope, { authenticationOptionsName: 'Nobody' }, token),
    () => app.tokenAcquirer.getTokenForUser(ordersScope, { ...options, forceRefresh: true }),
    () => app.tokenAcquirer.getTokenForUser(ordersScope, { ...options, forceRefresh: true }, token),
    () => app.tokenAcquirer.getTokenForUser(ordersScope, { ...options, authenticationOptionsName: 'AzureAd' }, token),
    () => app.tokenAcquirer.getTokenForUser(ordersScope, {}, `${token}x`),
  ]
  for (const call of calls) {
    const error = await call().then(() => undefined, (error: unknown) => error)
    t.match(error, { code: /^FST_IDW_/ })
    assertNone(t, secrets, seen(error), `the error of ${call}`)
  }
  t.match(await app.inject({ url: '/mine', headers: bearer(token) }), { statusCode: 401 })
  assertNone(t, secrets, JSON.stringify(lines), 'the log')
  assertNone(t, secrets, inspect(app, { depth: 9, showHidden: true }), 'the application')
  assertNone(t, secrets, seen([app.downstreamApi, app.tokenAcquirer, app.tokenAcquirer.diagnostics()]), 'the clients')
})

t.test('no token is in an error of a downstream API that echoes it, also where the cut goes through it', async t => {
  const world = await startWorld(t)
  const echo = await startRawServer(t, ({ url, headers }, response) => {
    const padding = 'x'.repeat(Number(new URLSearchParams(url.split('?')[1]).get('padding') ?? 0))
    const status = url.includes('json') ? 200 : 500
    response.writeHead(status, { 'content-type': 'application/json', 'x-echo': headers.authorization! }).end(`${padding}${headers.authorization}`)
  })
  const config = appSettings(world.entra, echo.origin)
  const app = await build(t, { config })
  const { accessToken } = await app.tokenAcquirer.getTokenForApp(scope)

  for (const path of ['', 'json', ...[3000, 4000, 4080, 4090, 4096].map(padding => `?padding=${padding}`)]) {
    const error = await app.downstreamApi.getForApp('MyWebApi', path).then(() => undefined, (error: unknown) => error)
    t.match(error, { code: /^FST_IDW_DOWNSTREAM_(STATUS|BODY)$/ })
    const { downstream } = error as { downstream?: { headers: Headers } }
    assertNone(t, [accessToken], seen(error) + JSON.stringify([...downstream?.headers ?? []]), `the error for "${path}"`)
  }
})

t.test('no secret is in a configuration fault', async t => {
  const value = 'sEcReT-value-8~Q'
  const sections = [
    { ClientSecret: { nested: value } }, { ClientSecrt: value }, { ClientCredentials: value }, { ClientCredentials: [value] }, { ClientCredentials: [{ SourceType: value }] },
    { ClientCredentials: [{ SourceType: 'ClientSecret', ClientSecret: [value] }] }, { ClientCredentials: [{ SourceType: 'ClientSecret', Secret: value }] }, { ClientCredentials: [{ SourceType: 'Path', CertificateDiskPth: value, CertificatePassword: value }] },
    { ClientCredentials: [{ SourceType: 'KeyVault', KeyVaultUrl: `https://user:${value}@contoso.vault.azure.net/`, KeyVaultCertificateName: value }] },
    { ClientId: `${value} ${value}` }, { TenantId: `${value}/` }, { Instance: `https://user:${value}@login.microsoftonline.com/` }, { Instance: `https://${value}:${value}@x/` },
    { Authority: `https://user:${value}@login.microsoftonline.com/x` },
  ]
  for (const AzureAd of sections) {
    const error = await build(t, { config: { AzureAd } }).then(() => undefined, (error: Error) => error)
    t.match(error, { code: 'FST_IDW_CONFIG_INVALID' }, inspect(AzureAd))
    t.notMatch(seen(error), /sEcReT/)
  }
  for (const config of [{ AzureAd: `{"ClientSecret":"${value}"` }, { MyWebApi: { BaseUrl: `https://user:${value}@api.example/` } }, { MyWebApi: { BaseUrl: 'https://api.example/', ExtraHeaderParameters: { 'x-key': `${value}\n` } } }]) {
    const error = await build(t, { config, downstreamApis: ['MyWebApi'] }).then(() => undefined, (error: Error) => error)
    t.match(error, { code: 'FST_IDW_CONFIG_INVALID' })
    t.notMatch(seen(error), /sEcReT/)
  }
})

t.test('a secret is sent in the body to the token endpoint, and nowhere else', async t => {
  const world = await startWorld(t)
  const app = await build(t, { config: appSettings(world.entra, world.todoApi.baseUrl) })
  await app.downstreamApi.getForApp('MyWebApi')
  t.match(world.entra.requests.map(({ method, path, query }) => ({ method, path, query })), [{ method: 'POST', path: `/${tenantId}/oauth2/v2.0/token`, query: {} }, { path: `/${tenantId}/discovery/v2.0/keys` }])
  t.match(world.entra.tokenRequests, [{ body: { client_id: clientId, client_secret: '***' } }])
})
