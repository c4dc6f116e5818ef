import t from 'tap'
import { MockAgent } from 'undici'
import { useEnvironment } from '../fixtures/environment.ts'
import { identityWebOf } from '../fixtures/identity-web.ts'
import { answerJson, startRawServer, type RawRequest } from '../fixtures/raw-server.ts'

type Tap = Parameters<typeof startRawServer>[0]

const scope = 'api://todo/.default'
const tenantId = '9b3f1c6e-2d4a-4b8e-9f10-0a1b2c3d4e5f'
const app = { TenantId: tenantId, ClientId: 'app', ClientSecret: 'secret' }

const token = (accessToken: string) => ({ access_token: accessToken, token_type: 'Bearer', expires_in: 3599 })
const isDiscovery = ({ url }: Pick<RawRequest, 'url'>) => url.endsWith('/.well-known/openid-configuration')
const pathOf = ({ url }: RawRequest) => url.split('?')[0]

/** Entra ID, as its hosts are asked for tokens; each token tells which host and path gave it. */
function entraId (t: Tap, hosts: readonly string[]) {
  const agent = new MockAgent()
  agent.disableNetConnect()
  t.teardown(() => agent.close())
  const forms: Record<string, string>[] = []
  for (const host of hosts) {
    agent.get(`https://${host}`).intercept({ path: () => true, method: 'POST' }).reply(200, ({ path, body }) => {
      forms.push(Object.fromEntries(new URLSearchParams(String(body))))
      return token(`${host}${path.split('?')[0]}`)
    }).persist()
  }
  return { agent, forms }
}

t.test('every kind of authority is asked at its own token endpoint, as MSAL sends it', async t => {
  const rows: readonly [object, string][] = [
    [{ Instance: 'https://login.microsoftonline.us/' }, `login.microsoftonline.us/${tenantId}/oauth2/v2.0/token`],
    [{ Instance: 'https://login.chinacloudapi.cn/' }, `login.chinacloudapi.cn/${tenantId}/oauth2/v2.0/token`],
    [{ Instance: 'https://contoso.ciamlogin.com/', TenantId: undefined }, 'contoso.ciamlogin.com/contoso.onmicrosoft.com/oauth2/v2.0/token'],
    [{ Instance: 'https://contoso.b2clogin.com/tfp', Domain: 'contoso.example', SignUpSignInPolicyId: 'B2C_1_susi' }, 'contoso.b2clogin.com/contoso.example/b2c_1_susi/oauth2/v2.0/token'],
    [{ Instance: 'https://login.microsoftonline.com/', AzureRegion: 'West US 2' }, `westus2.login.microsoft.com/${tenantId}/oauth2/v2.0/token`],
    [{ Instance: 'https://login.microsoftonline.us/', AzureRegion: 'usgovvirginia' }, `usgovvirginia.login.microsoftonline.us/${tenantId}/oauth2/v2.0/token`],
  ]
  for (const [section, expected] of rows) {
    const { agent, forms } = entraId(t, [expected.split('/')[0]!])
    const { tokenAcquirer } = identityWebOf(t, { config: { AzureAd: { ...app, ...section } }, identityDispatcher: agent })
    t.match(await tokenAcquirer.getTokenForApp(scope), { accessToken: expected })
    t.match(forms, [{ client_id: 'app', client_secret: 'secret', grant_type: 'client_credentials', scope }])
  }
})

t.test('a region that the platform names is asked, and the token is kept without it', async t => {
  const platform = await startRawServer(t, (_, response) => response.end('westus2'))
  useEnvironment(t, { AZURE_POD_IDENTITY_AUTHORITY_HOST: platform.origin })
  const { agent } = entraId(t, ['westus2.login.microsoft.com'])
  const { tokenAcquirer } = identityWebOf(t, { config: { AzureAd: { ...app, Instance: 'https://login.microsoftonline.com/', AzureRegion: 'TryAutoDetect' } }, identityDispatcher: agent })

  const tokens = await Promise.all(['api://a/.default', 'api://b/.default', 'api://a/.default'].map(each => tokenAcquirer.getTokenForApp(each)))

  t.ok(tokens.every(({ accessToken }) => accessToken.startsWith('westus2.login.microsoft.com/')))
  t.match(await tokenAcquirer.getTokenForApp('api://a/.default'), { tokenSource: 'cache' })
  t.equal(platform.requests.length, 1)
})

t.test('a region that fails holds nobody off the global endpoint', async t => {
  const { agent } = entraId(t, ['login.microsoftonline.com'])
  agent.get('https://westus2.login.microsoft.com').intercept({ path: () => true, method: 'POST' }).reply(503).persist()
  const Instance = 'https://login.microsoftonline.com/'
  const { tokenAcquirer } = identityWebOf(t, { config: { AzureAd: { ...app, Instance }, Regional: { ...app, Instance, AzureRegion: 'westus2' } }, identityDispatcher: agent, tokenTimeout: 200 })

  for (const name of ['a', 'b', 'c', 'd']) await t.rejects(tokenAcquirer.getTokenForApp(`api://${name}/.default`, { authenticationOptionsName: 'Regional' }), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED' })
  for (let call = 0; call < 3; call++) t.match(await Promise.all(['e', 'f', 'g'].map(name => tokenAcquirer.getTokenForApp(`api://${name}/.default`, { forceRefresh: true }))), Array.from({ length: 3 }, () => ({ tokenSource: 'identity-provider' })))
})

t.test('an authority that is listed is asked for its endpoints once, however many callers are waiting', async t => {
  const server = await startRawServer(t, (request, response) => {
    const { origin } = server
    answerJson(response, 200, isDiscovery(request) ? { issuer: `https://login.microsoftonline.com/${tenantId}/v2.0`, token_endpoint: `${origin}/elsewhere/token`, jwks_uri: `${origin}/keys` } : token('a token'))
  })
  const KnownAuthorities = [`127.0.0.1:${server.port}`]
  const { tokenAcquirer } = identityWebOf(t, { config: { AzureAd: { ...app, Instance: server.origin, KnownAuthorities } } })

  const tokens = await Promise.all(Array.from({ length: 100 }, () => tokenAcquirer.getTokenForApp(scope)))

  t.ok(tokens.every(({ accessToken }) => accessToken === 'a token'))
  t.strictSame(server.requests.map(pathOf), [`/${tenantId}/v2.0/.well-known/openid-configuration`, '/elsewhere/token'])
  await Promise.all(Array.from({ length: 100 }, (_, index) => tokenAcquirer.getTokenForApp(`api://${index}/.default`)))
  t.equal(server.requests.filter(isDiscovery).length, 1)
  t.equal(server.requests.length, 102)
})

t.test('no secret is sent where a document leads that must not be used', async t => {
  const elsewhere = await startRawServer(t, (_, response) => answerJson(response, 200, token('stolen')))
  const server = await startRawServer(t, (_, response) => answerJson(response, 200, { issuer: server.origin, token_endpoint: `${elsewhere.origin}/token` }))
  const { tokenAcquirer } = identityWebOf(t, { config: { AzureAd: { ...app, Instance: server.origin, KnownAuthorities: [`127.0.0.1:${server.port}`] } } })

  await t.rejects(tokenAcquirer.getTokenForApp(scope), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', retryable: false, statusCode: 500, message: /its token_endpoint is not on the origin of the authority/ } as never)

  t.strictSame(elsewhere.requests, [])
  t.ok(server.requests.every(isDiscovery))
})

t.test('an authority that is listed and has no document is asked where its URL says', async t => {
  const server = await startRawServer(t, (request, response) => isDiscovery(request) ? answerJson(response, 404, {}) : answerJson(response, 200, token('a token')))
  const { tokenAcquirer, lines } = identityWebOf(t, { config: { AzureAd: { ...app, Instance: `${server.origin}/entra`, KnownAuthorities: [`127.0.0.1:${server.port}`] } } })

  t.match(await tokenAcquirer.getTokenForApp(scope), { accessToken: 'a token' })

  t.strictSame(server.requests.map(pathOf), [`/entra/${tenantId}/v2.0/.well-known/openid-configuration`, `/entra/${tenantId}/oauth2/v2.0/token`])
  t.match(lines[0], { level: 'debug', message: /has no OpenID configuration/ })
})

t.test('sections with different clouds, tenants and clients are used side by side, and never mixed', async t => {
  const answer = (name: string) => startRawServer(t, ({ url, body }, response) => {
    const form = new URLSearchParams(body)
    answerJson(response, 200, token([name, url.split('/')[1], form.get('client_id'), form.get('client_secret')].join(' ')))
  })
  const [one, two] = await Promise.all([answer('one'), answer('two')])
  const { tokenAcquirer } = identityWebOf(t, {
    config: {
      AzureAd: { Instance: one.origin, TenantId: 'contoso.example', ClientId: 'app', ClientSecret: 'first' },
      Fabrikam: { Instance: two.origin, TenantId: 'fabrikam.example', ClientId: 'app', ClientSecret: 'second' },
      Twin: { Instance: one.origin, TenantId: 'fabrikam.example', ClientId: 'twin', ClientSecret: 'third' },
    },
  })
  const wanted = [
    [undefined, undefined, 'one contoso.example app first'], ['Fabrikam', undefined, 'two fabrikam.example app second'], ['Twin', undefined, 'one fabrikam.example twin third'],
    ['fabrikam', 'contoso.example', 'two contoso.example app second'], [undefined, 'fabrikam.example', 'one fabrikam.example app first'],
  ] as const
  const acquire = () => Promise.all(Array.from({ length: 50 }, (_, index) => wanted[index % wanted.length]!).map(async ([authenticationOptionsName, tenant, expected]) => {
    const { accessToken, tenantId } = await tokenAcquirer.getTokenForApp(scope, { ...authenticationOptionsName && { authenticationOptionsName }, ...tenant && { tenant } })
    t.equal(accessToken, expected)
    t.equal(tenantId, expected.split(' ')[1])
  }))

  await acquire()
  await acquire()
  t.equal(one.requests.length + two.requests.length, wanted.length)
})

t.test('a managed identity has no tenant, and needs none', async t => {
  const platform = await startRawServer(t, (_, response) => answerJson(response, 200, { ...token('of the machine'), expires_on: String(Math.floor(Date.now() / 1000) + 3600), resource: 'api://todo' }))
  useEnvironment(t, { IDENTITY_ENDPOINT: `${platform.origin}/msi`, IDENTITY_HEADER: 'x' })
  for (const TenantId of ['common', 'organizations', 'consumers']) {
    const { tokenAcquirer } = identityWebOf(t, { config: { AzureAd: { Instance: 'https://login.microsoftonline.com/', TenantId, ClientId: 'app' } } })
    t.match(await tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} }), { accessToken: 'of the machine', tenantId: undefined })
  }
})
