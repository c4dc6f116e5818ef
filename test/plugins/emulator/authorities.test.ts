import t from 'tap'
import { Agent, request } from 'undici'
import { ConfidentialClientApplication } from '@azure/msal-node'
import { decodeJwt, importPKCS8, SignJWT } from 'jose'
import { startEntraEmulator } from '../../../plugins/testing.ts'
import { build } from '../../fixtures/build.ts'
import { makeCertificate } from '../../fixtures/certificate.ts'
import { clientId, registerDirectory, scope, secret, tenantId } from '../../fixtures/todo-api.ts'

interface Tap { teardown (work: () => unknown): unknown }
type Json = Record<string, unknown>

async function start (t: Tap, options: Parameters<typeof startEntraEmulator>[0] = {}) {
  const entra = await startEntraEmulator(options)
  t.teardown(() => entra.close())
  registerDirectory(entra)
  const dispatcher = entra.identityDispatcher
  return {
    entra,
    get: async (url: string) => {
      const { statusCode: status, body } = await request(url, { dispatcher })
      return { status, body: await body.json() as Json }
    },
    ask: async (url: string, form: Record<string, string> = { client_secret: secret }) => {
      const { statusCode: status, body } = await request(url, {
        method: 'POST',
        dispatcher,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId, scope, ...form }).toString(),
      })
      return { status, body: await body.json() as Json }
    },
  }
}

t.test('a configuration as it is in production reaches the emulator', async t => {
  const { entra } = await start(t)
  const app = await build(t, {
    azureAd: { instance: 'https://login.microsoftonline.com/', tenantId, clientId, clientCredentials: [{ sourceType: 'ClientSecret', clientSecret: secret }] },
    downstreamApis: { Todo: { baseUrl: 'https://todo.example/', scopes: [scope] } },
    identityDispatcher: entra.identityDispatcher,
  })

  const { accessToken } = await app.tokenAcquirer.getTokenForApp(scope)

  t.match(decodeJwt(accessToken), { iss: entra.issuer(tenantId), azp: clientId })
  t.match(entra.tokenRequests, [{ host: 'login.microsoftonline.com', path: `/${tenantId}/oauth2/v2.0/token`, tenantId, status: 200 }])
})

t.test('so does a custom domain that is listed, by the discovery that it is asked for first', async t => {
  const { entra } = await start(t, { authorityHosts: ['Login.contoso.example', 'b2c.contoso.example:8443'] })
  for (const [host, path, options] of [
    ['login.contoso.example', tenantId, { tenantId }],
    ['b2c.contoso.example:8443', `${tenantId}/b2c_1_susi`, { tenantId, signUpSignInPolicyId: 'B2C_1_susi' }],
  ] as const) {
    const app = await build(t, {
      azureAd: { instance: `https://${host}/`, knownAuthorities: [host], clientId, clientCredentials: [{ sourceType: 'ClientSecret', clientSecret: secret }], ...options },
      downstreamApis: { Todo: { baseUrl: 'https://todo.example/', scopes: [scope] } },
      identityDispatcher: entra.identityDispatcher,
    })
    const before = entra.requests.length

    const { accessToken } = await app.tokenAcquirer.getTokenForApp(scope)

    t.match(decodeJwt(accessToken), { iss: entra.issuer(tenantId), azp: clientId })
    t.match(entra.requests.slice(before), [{ host, path: `/${path}/v2.0/.well-known/openid-configuration`, endpoint: 'discovery' }, { host, path: `/${path}/oauth2/v2.0/token`, status: 200 }])
  }
})

t.test('every authority of Microsoft\'s is carried to it, and the request says which one was meant', async t => {
  const { entra, ask } = await start(t)
  const hosts = ['login.microsoftonline.com', 'login.microsoftonline.us', 'login.partner.microsoftonline.cn', 'westus2.login.microsoft.com', 'contoso.ciamlogin.com', 'contoso.b2clogin.com']
  for (const host of hosts) t.match(await ask(`https://${host}/${tenantId}/oauth2/v2.0/token/`), { status: 200 }, host)
  t.match(await ask(`${entra.instance}${tenantId}/oauth2/v2.0/token`), { status: 200 }, 'the emulator itself')
  t.strictSame(entra.requests.map(({ host }) => host), [...hosts, new URL(entra.instance).host])
})

t.test('any other host is refused, unless it is listed', async t => {
  const { entra, ask } = await start(t, { authorityHosts: ['login.contoso.com:443', 'Login.Fabrikam.com:8443'] })
  for (const origin of ['https://login.contoso.com', 'https://login.fabrikam.com:8443']) t.match(await ask(`${origin}/${tenantId}/oauth2/v2.0/token`), { status: 200 })
  const before = entra.requests.length
  for (const origin of ['https://example.com', 'https://login.contoso.com:444', 'https://login.microsoftonline.com.example.com', 'https://notlogin.microsoftonline.com.evil', 'http://login.microsoftonline.com', 'http://127.0.0.1:9', 'https://microsoftonline.com']) {
    await t.rejects(ask(`${origin}/${tenantId}/oauth2/v2.0/token`), { name: 'TypeError', message: /is not known to be an authority; list its host in authorityHosts/ }, origin)
  }
  t.equal(entra.requests.length, before)
  await t.rejects(startEntraEmulator({ authorityHosts: ['https://x/'] }), { name: 'TypeError', message: /startEntraEmulator: authorityHosts\.0: expected a host/ })
})

t.test('discovery names the endpoints on the host that was asked', async t => {
  const { entra, get } = await start(t)
  for (const origin of ['https://login.microsoftonline.com', 'https://westus2.login.microsoft.com', 'https://contoso.ciamlogin.com']) {
    t.match(await get(`${origin}/${tenantId}/v2.0/.well-known/openid-configuration`), { status: 200, body: { issuer: entra.issuer(tenantId), token_endpoint: `${origin}/${tenantId}/oauth2/v2.0/token`, jwks_uri: `${origin}/${tenantId}/discovery/v2.0/keys`, token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'] } })
    t.match(await get(`${origin}/${tenantId}/discovery/v2.0/keys`), { status: 200, body: { keys: [{ kty: 'RSA' }] } })
    t.match(await get(`${origin}/common/discovery/instance?api-version=1.1`), { body: { tenant_discovery_endpoint: `${origin}/common/v2.0/.well-known/openid-configuration`, metadata: [{ aliases: [new URL(origin).host] }] } })
  }
})

t.test('a tenant may be called by its domains', async t => {
  const { entra, ask, get } = await start(t)
  entra.registerTenant({ tenantId, domains: ['contoso.onmicrosoft.com', 'contoso.com'] })

  const { status, body } = await ask('https://login.microsoftonline.com/Contoso.com/oauth2/v2.0/token')

  t.equal(status, 200)
  t.match(decodeJwt(String(body['access_token'])), { tid: tenantId, iss: entra.issuer(tenantId) })
  t.match(await get('https://contoso.ciamlogin.com/contoso.onmicrosoft.com/v2.0/.well-known/openid-configuration'), { body: { issuer: entra.issuer(tenantId), token_endpoint: `https://contoso.ciamlogin.com/${tenantId}/oauth2/v2.0/token` } })
  t.match(await ask('https://login.microsoftonline.com/fabrikam.com/oauth2/v2.0/token'), { status: 400, body: { error_codes: [90002] } })
  t.throws(() => entra.registerTenant({ tenantId: 'contoso.com' }), { name: 'TypeError', message: /registerTenant: tenantId: expected a GUID/ })
})

t.test('a tenant without an app is known when it is registered', async t => {
  const { entra, get } = await start(t)
  const empty = '88888888-8888-4888-8888-888888888888'
  entra.registerTenant({ tenantId: empty })
  t.match(await get(`${entra.instance}${empty}/v2.0/.well-known/openid-configuration`), { status: 200, body: { issuer: entra.issuer(empty) } })
})

t.test('the user flows of Azure AD B2C have endpoints of their own, in both forms', async t => {
  const { entra, ask, get } = await start(t)
  entra.registerTenant({ tenantId, domains: ['contoso.onmicrosoft.com'] })
  for (const base of ['https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_susi', 'https://contoso.b2clogin.com/tfp/contoso.onmicrosoft.com/B2C_1_susi']) {
    t.match(await get(`${base}/v2.0/.well-known/openid-configuration`), { status: 200, body: { issuer: entra.issuer(tenantId), token_endpoint: `${base}/oauth2/v2.0/token`, jwks_uri: `${base}/discovery/v2.0/keys` } })
    t.match(await get(`${base}/discovery/v2.0/keys`), { status: 200 })
    t.match(await ask(`${base}/oauth2/v2.0/token`), { status: 200 })
  }
  t.match(entra.tokenRequests, [{ tenantId: 'contoso.onmicrosoft.com' }, { tenantId: 'contoso.onmicrosoft.com' }])
  t.match(await get('https://contoso.b2clogin.com/fabrikam.onmicrosoft.com/B2C_1_susi/v2.0/.well-known/openid-configuration'), { status: 400, body: { error_codes: [90002] } })
})

t.test('the audience of a client assertion is the endpoint at the host that was asked', async t => {
  const { entra, ask } = await start(t)
  const { cert, key, thumbprintSha256 } = await makeCertificate()
  entra.replaceCertificates({ clientId, certificates: [cert] })
  const endpoint = (origin: string) => `${origin}/${tenantId}/oauth2/v2.0/token`
  const assertion = async (aud: string) => ({
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await new SignJWT({ aud, iss: clientId, sub: clientId, exp: Math.floor(Date.now() / 1000) + 60, jti: 'x' })
      .setProtectedHeader({ alg: 'PS256', 'x5t#S256': Buffer.from(thumbprintSha256, 'hex').toString('base64url') })
      .sign(await importPKCS8(key, 'PS256'))
  })
  const [global, regional] = [endpoint('https://login.microsoftonline.com'), endpoint('https://westus2.login.microsoft.com')]

  t.match(await ask(global, await assertion(global)), { status: 200 })
  t.match(await ask(`${regional}/`, await assertion(regional)), { status: 200 })
  t.match(await ask(global, await assertion(`${entra.instance}${tenantId}/oauth2/v2.0/token`)), { status: 401, body: { error_codes: [700023] } })
})

t.test('MSAL finds a region, by its own rules', async t => {
  const { entra } = await start(t)
  const { cert, key, thumbprintSha256 } = await makeCertificate()
  entra.replaceCertificates({ clientId, certificates: [cert] })
  const exchange = async (method: 'GET' | 'POST', url: string, options: { headers?: Record<string, string>, body?: string } = {}) => {
    const { statusCode, body } = await request(url, { method, dispatcher: entra.identityDispatcher, headers: options.headers ?? {}, body: options.body ?? null })
    return { headers: {}, body: await body.json(), status: statusCode } as never
  }
  const app = new ConfidentialClientApplication({
    auth: { clientId, authority: `https://login.microsoftonline.com/${tenantId}`, clientCertificate: { thumbprintSha256, privateKey: key } },
    system: { networkClient: { sendGetRequestAsync: (url, options) => exchange('GET', url, options), sendPostRequestAsync: (url, options) => exchange('POST', url, options) } },
  })

  t.match(await app.acquireTokenByClientCredential({ scopes: [scope], azureRegion: 'westus2' }), { accessToken: /^eyJ/ })
  t.match(entra.tokenRequests, [{ host: 'westus2.login.microsoft.com', clientAssertion: { claims: { aud: /^https:\/\/westus2\.login\.microsoft\.com\// } } }])
})

t.test('over https too, whatever its certificate is for', async t => {
  const { key, cert } = await makeCertificate({ subject: 'CN=elsewhere' })
  const { entra, ask } = await start(t, { tls: { key, cert }, host: 'localhost' })
  t.match(await ask(`https://login.microsoftonline.com/${tenantId}/oauth2/v2.0/token`), { status: 200 })
  t.match(entra.requests, [{ host: 'login.microsoftonline.com' }])
})

t.test('the emulator is not misled by paths that only look like another authority\'s', async t => {
  const { entra } = await start(t)
  const dispatcher = new Agent()
  t.teardown(() => dispatcher.close())
  for (const path of ['.authority/', '.authority/login.microsoftonline.com', '.authority']) {
    const { statusCode, body } = await request(entra.instance + path, { dispatcher })
    await body.dump()
    t.equal(statusCode, 404)
  }
  t.strictSame(new Set(entra.requests.map(({ host }) => host)), new Set([new URL(entra.instance).host]))
})
