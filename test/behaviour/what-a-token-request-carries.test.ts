import t from 'tap'
import { MockAgent } from 'undici'
import { build } from '../fixtures/build.ts'
import { useEnvironment } from '../fixtures/environment.ts'
import { answerJson, startRawServer } from '../fixtures/raw-server.ts'
import { clientId, secret, tenantId } from '../fixtures/todo-api.ts'

type Tap = Parameters<typeof startRawServer>[0]

const scope = 'api://todo/.default'

/** An application whose Entra ID gives every request a token of its own. */
async function appWith (t: Tap, azureAd: object = {}, options: object = {}) {
  let count = 0
  const { origin, requests } = await startRawServer(t, (_, response) => answerJson(response, 200, { access_token: `token ${++count}`, token_type: 'Bearer', expires_in: 3599, refresh_in: 1800 }))
  const config = {
    AzureAd: { Instance: origin, TenantId: tenantId, ClientId: clientId, ClientSecret: secret, ...azureAd },
    Second: { Instance: origin, TenantId: tenantId, ClientId: 'second', ClientSecret: secret },
    Bare: { Instance: origin, TenantId: tenantId },
    Tenantless: { Instance: origin, ClientId: clientId, ClientSecret: secret },
  }
  const app = await build(t, { config, downstreamApis: { Api: { baseUrl: origin, scopes: scope } }, ...options })
  const sent = () => requests.map(({ url, body, headers }) => ({
    path: url.split('?')[0], query: Object.fromEntries(new URLSearchParams(url.split('?')[1])), form: Object.fromEntries(new URLSearchParams(body)), headers,
  }))
  return { app, acquire: app.tokenAcquirer.getTokenForApp.bind(app.tokenAcquirer), sent, requests }
}

t.test('the client credentials flow sends the client, its secret and the scope to the tenant\'s token endpoint', async t => {
  const { acquire, sent } = await appWith(t)

  const token = await acquire(scope)

  t.match(token, { accessToken: 'token 1', tenantId, scopes: [scope], tokenType: 'Bearer', tokenSource: 'identity-provider' })
  t.match(sent(), [{ path: `/${tenantId}/oauth2/v2.0/token`, form: { grant_type: 'client_credentials', client_id: clientId, client_secret: secret, scope }, headers: { 'content-type': /^application\/x-www-form-urlencoded/, authorization: undefined } }])
  t.match(JSON.stringify(sent()), token.correlationId)
})

t.test('each option reaches the request, and has a token of its own', async t => {
  const { acquire, sent } = await appWith(t, { extraQueryParameters: { dc: 'one', slice: 'a' } })
  const variants = [
    {},
    { tenant: 'contoso.example' },
    { authenticationOptionsName: 'Second' },
    { fmiPath: 'SomePath' },
    { extraQueryParameters: { slice: 'b' } },
    { extraHeadersParameters: { 'x-test': '1' } },
  ]

  const tokens: Awaited<ReturnType<typeof acquire>>[] = []
  for (const variant of variants) tokens.push(await acquire(scope, variant))
  const again = await Promise.all(variants.map(variant => acquire(scope, variant)))

  t.equal(new Set(tokens.map(({ accessToken }) => accessToken)).size, variants.length)
  t.strictSame(again.map(({ accessToken }) => accessToken), tokens.map(({ accessToken }) => accessToken))
  t.match(sent(), [
    { query: { dc: 'one', slice: 'a' } },
    { path: '/contoso.example/oauth2/v2.0/token' },
    { form: { client_id: 'second' } },
    { form: { fmi_path: 'SomePath' } },
    { query: { dc: 'one', slice: 'b' } },
    { headers: { 'x-test': '1' } },
  ])
})

t.test('a parameter of the call goes before the app\'s, whatever the letter case of its name', async t => {
  const { acquire, sent } = await appWith(t, { extraQueryParameters: { dc: 'one', slice: 'a' } })

  await acquire(scope, { extraQueryParameters: { SLICE: 'b' } })

  t.match(sent(), [{ query: { dc: 'one', slice: 'b', SLICE: undefined } }])
})

t.test('a parameter that OAuth gives a meaning is a fault, in the configuration and in a call', async t => {
  const { acquire, requests } = await appWith(t)
  for (const name of ['client_secret', 'client_assertion', 'assertion', 'Grant_Type', 'scope', 'client_id', 'claims', 'sub_assertion', 'user_id', 'User_Federated_Identity_Credential', 'Client-Request-Id']) {
    await t.rejects(appWith(t, { ExtraQueryParameters: { [name]: 'sEcReT' } }), { code: 'FST_IDW_CONFIG_INVALID', faults: [`AzureAd.ExtraQueryParameters.${name}: OAuth gives this parameter a meaning, and the engine its value: use the option that is meant for it`] } as never)
    await t.rejects(acquire(scope, { extraQueryParameters: { [name]: 'sEcReT' } }), { code: 'FST_IDW_CONFIG_INVALID', message: /OAuth gives this parameter a meaning/ })
  }
  t.strictSame(requests, [])
})

t.test('the correlation id of a call is sent, and has no token of its own', async t => {
  const { acquire, sent } = await appWith(t)
  const [first, second] = ['0d9b6f0a-9a64-4c0f-8d7a-7a3f5b9c2e01', '0d9b6f0a-9a64-4c0f-8d7a-7a3f5b9c2e02'] as const

  t.match(await acquire(scope, { correlationId: first }), { correlationId: first, tokenSource: 'identity-provider' })
  t.match(await acquire(scope, { correlationId: second }), { correlationId: first, tokenSource: 'cache' })

  t.match(sent(), [{ headers: { 'client-request-id': first } }])
  t.equal(sent().length, 1)
})

t.test('a section with other client capabilities has tokens of its own', async t => {
  const { acquire, sent } = await appWith(t, { clientCapabilities: ['cp1'] })

  t.match(await acquire(scope), { accessToken: 'token 1' })
  t.match(await acquire(scope, { authenticationOptionsName: 'Second' }), { accessToken: 'token 2' })

  t.match(sent(), [{ form: { claims: /xms_cc/ } }, { form: { claims: undefined } }])
})

t.test('claims and client capabilities are sent as one claims parameter', async t => {
  const { acquire, sent } = await appWith(t, { clientCapabilities: ['cp1'] })

  await acquire(scope)
  await acquire(scope, { claims: '{"access_token":{"nbf":{"essential":true,"value":"1"}}}' })

  const [plain, challenged] = sent().map(({ form }) => JSON.parse(form['claims']!) as object)
  t.match(plain, { access_token: { xms_cc: { values: ['cp1'] } } })
  t.match(challenged, { access_token: { xms_cc: { values: ['cp1'] }, nbf: { essential: true, value: '1' } } })
})

t.test('claims that cannot be joined with the client capabilities are not sent, and the error says that nobody was asked', async t => {
  const { acquire, requests } = await appWith(t, { clientCapabilities: ['cp1'] })

  await t.rejects(acquire(scope, { claims: '{"access_token":"odd"}' }), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', statusCode: 500, retryable: false, message: /was not asked: .* Correct the options of the call/, cause: Error } as never)

  t.strictSame(requests, [])
})

t.test('an extra header replaces none of the request\'s own, in any letter case', async t => {
  const { acquire, sent } = await appWith(t)

  await acquire(scope, { extraHeadersParameters: { 'Content-Type': 'text/plain', Host: 'evil.example', AUTHORIZATION: 'Basic eA==', 'Client-Request-Id': 'mine' } })

  t.match(sent(), [{ headers: { 'content-type': /^application\/x-www-form-urlencoded/, host: /^127\.0\.0\.1/, authorization: undefined } }])
})

t.test('a request has one correlation id, whatever the letter case of an extra header that names another', async t => {
  const { acquire, sent } = await appWith(t)
  for (const name of ['client-request-id', 'Client-Request-Id']) {
    const { correlationId } = await acquire(scope, { extraHeadersParameters: { [name]: 'mine' } })
    t.equal(sent().at(-1)?.headers['client-request-id'], correlationId, name)
  }
})

t.test('what a call gives cannot become another parameter of the token request', async t => {
  const { acquire, sent, requests } = await appWith(t)
  for (const [givenScope, options] of [
    ['api://todo/.default&grant_type=password', {}], ['api://a api://b/.default', {}], ['api://todo\r\n/.default', {}], ['api://todo/.default ', {}], ['"/.default', {}], ['\\/.default', {}], ['api://tödo/.default', {}], ['', {}], [undefined, {}], [7, {}],
    [scope, { tenant: '../x' }], [scope, { tenant: 'common/../t' }], [scope, { tenant: 'a?b' }], [scope, { tenant: 'a#b' }], [scope, { tenant: 'a%2fb' }], [scope, { tenant: 'a..b' }], [scope, { tenant: 'a\nb' }],
    [scope, { claims: 'no json' }], [scope, { claims: '[]' }], [scope, { correlationId: 'x\r\ny: z' }], [scope, { extraHeadersParameters: { 'x-a': 'b\r\nc: d' } }], [scope, { extraHeadersParameters: { 'x a': 'b' } }],
    [scope, { managedIdentity: { userAssignedClientId: 'x&resource=y' } }], [scope, { managedIdentity: { userAssignedResourceId: '/subscriptions/1?x=y' } }],
  ] as const) {
    await t.rejects(acquire(givenScope as string, options), { code: /^FST_IDW_(CONFIG_INVALID|SCOPE_NOT_DEFAULT)$/ }, JSON.stringify([givenScope, options]))
  }
  t.strictSame(requests, [])

  await acquire('api://todo&grant_type=password/.default', { fmiPath: 'a&grant_type=password', extraQueryParameters: { 'a&b': 'c&d=e' } })
  t.match(sent(), [{ query: { 'a&b': 'c&d=e' }, form: { grant_type: 'client_credentials', scope: 'api://todo&grant_type=password/.default', fmi_path: 'a&grant_type=password' } }])
})

t.test('an app is asked for with the scope of a whole resource', async t => {
  const { app, acquire, requests } = await appWith(t)
  for (const notDefault of ['api://todo/Todo.Read', 'api://todo', '/.default', 'User.Read', 'api://todo/.defaults']) {
    for (const call of [() => acquire(notDefault), () => acquire(notDefault, { managedIdentity: {} }), () => app.downstreamApi.getForApp('Api', { scopes: notDefault }), () => app.authorizationHeaderProvider.createAuthorizationHeaderForApp(notDefault)]) {
      await t.rejects(call, { code: 'FST_IDW_SCOPE_NOT_DEFAULT', statusCode: 500, message: /use "<App ID URI of the API>\/\.default"/ }, notDefault)
    }
  }
  await t.rejects(app.authorizationHeaderProvider.createAuthorizationHeader([], { requestAppToken: true }), { code: 'FST_IDW_CONFIG_INVALID', message: /^.*\n- scopes/ })
  t.strictSame(requests, [])
  t.match(await acquire('api://todo/.DEFAULT'), { accessToken: 'token 1' })
})

t.test('a meta-tenant gives no app token; the app\'s home tenant stands in for it', async t => {
  for (const meta of ['common', 'organizations', 'Consumers']) {
    const { acquire, requests } = await appWith(t, { TenantId: meta })
    await t.rejects(acquire(scope), { code: 'FST_IDW_TENANT_REQUIRED', statusCode: 500, message: /AppHomeTenantId or AcquireTokenOptions\.Tenant/ })
    t.strictSame(requests, [])
    t.match(await acquire(scope, { tenant: 'contoso.example' }), { tenantId: 'contoso.example' })
  }
  const home = await appWith(t, { TenantId: 'common', AppHomeTenantId: 'Home.example' })
  t.match(await home.acquire(scope), { tenantId: 'home.example' })
  t.match(await home.acquire(scope, { tenant: 'organizations' }), { tenantId: 'home.example', tokenSource: 'cache' })
  const nowhere = await appWith(t, { TenantId: 'common', AppHomeTenantId: 'organizations' })
  await t.rejects(nowhere.acquire(scope), { code: 'FST_IDW_TENANT_REQUIRED' })
})

t.test('without a usable app section there is no client credential, and the error says what is missing', async t => {
  const { acquire, requests } = await appWith(t)
  await t.rejects(acquire(scope, { authenticationOptionsName: 'Nowhere' }), { code: 'FST_IDW_NO_AUTHORITY', statusCode: 500, message: /no section "Nowhere": configure it, or set AcquireTokenOptions\.ManagedIdentity/ })
  await t.rejects(acquire(scope, { authenticationOptionsName: 'Nowhere', managedIdentity: {} }), { code: 'FST_IDW_NO_AUTHORITY', message: /no section "Nowhere", which AuthenticationOptionsName names/ })
  await t.rejects(acquire(scope, { authenticationOptionsName: 'Tenantless' }), { code: 'FST_IDW_NO_AUTHORITY', message: /"Tenantless" lacks TenantId/ })
  await t.rejects(acquire(scope, { authenticationOptionsName: 'Bare' }), { code: 'FST_IDW_NO_AUTHORITY', message: /"Bare" lacks ClientId/ })
  const app = await build(t, { downstreamApis: {} })
  await t.rejects(app.tokenAcquirer.getTokenForApp(scope), { code: 'FST_IDW_NO_AUTHORITY', message: /no section "AzureAd"/ })
  t.strictSame(requests, [])
  t.match(await acquire(scope, { authenticationOptionsName: 'Tenantless', tenant: 'Contoso.example' }), { tenantId: 'contoso.example' }, 'the call may give what is missing')
})

t.test('a credential that is skipped is passed over', async t => {
  const ClientCredentials = [{ SourceType: 'ClientSecret', ClientSecret: 'the first', Skip: true }, { SourceType: 'StoreWithThumbprint', CertificateThumbprint: 'x', Skip: true }, { SourceType: 'ClientSecret', ClientSecret: 'the third' }]
  const { acquire, sent } = await appWith(t, { ClientSecret: undefined, ClientCredentials })

  await acquire(scope)

  t.match(sent(), [{ form: { client_secret: 'the third' } }])
})

t.test('identityDispatcher carries requests to Entra ID, and dispatcher does not', async t => {
  const agent = new MockAgent()
  agent.disableNetConnect()
  t.teardown(() => agent.close())
  agent.get('https://login.microsoftonline.com').intercept({ path: path => path.startsWith(`/${tenantId}/oauth2/v2.0/token?`), method: 'POST' }).reply(200, { access_token: 'a token', token_type: 'Bearer', expires_in: 3599 })
  const { acquire, requests } = await appWith(t, { Instance: 'https://login.microsoftonline.com/' }, { identityDispatcher: agent, dispatcher: new MockAgent() })

  t.match(await acquire(scope), { accessToken: 'a token' })
  agent.assertNoPendingInterceptors()
  t.strictSame(requests, [])
})

t.test('an instance that is closed leaves a dispatcher that it was given open', async t => {
  const agent = new MockAgent()
  t.teardown(() => agent.close())
  const { app } = await appWith(t, {}, { identityDispatcher: agent, dispatcher: agent })
  await app.close()
  t.equal((agent as unknown as { closed: boolean }).closed ?? false, false)
})

t.test('a header, and what is known of the token in it', async t => {
  const { app } = await appWith(t)
  useEnvironment(t, {})
  const { authorizationHeaderProvider: provider } = app

  t.equal(await provider.createAuthorizationHeaderForApp(scope), 'Bearer token 1')
  t.equal(await provider.createAuthorizationHeader(scope, { requestAppToken: true }), 'Bearer token 1')
  const information = await provider.createAuthorizationHeaderInformationForApp(scope)
  t.match(information, { authorizationHeader: 'Bearer token 1', tokenSource: 'cache', identity: 'client-credential', expiresOn: Date, refreshOn: Date })
  t.ok(information.refreshOn! < information.expiresOn)

  for (const call of [() => provider.createAuthorizationHeaderInformation(scope), () => provider.createAuthorizationHeaderInformationForUser([scope])]) {
    await t.rejects(call, { code: 'FST_IDW_USER_TOKEN_REQUIRED' })
  }
  const notAllowed = { code: 'FST_IDW_IDENTITY_NOT_ALLOWED', message: /use a …ForApp method/ }
  await t.rejects(provider.createAuthorizationHeaderInformationForUser(scope, { acquireTokenOptions: { managedIdentity: {} } }), notAllowed)
  await t.rejects(app.tokenAcquirer.getTokenForUser(scope, { managedIdentity: {} }), notAllowed)
})
