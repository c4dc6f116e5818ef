import t from 'tap'
import { Agent, request as undiciRequest } from 'undici'
import { startEntraEmulator, type Fault } from '../../../plugins/testing.ts'
import { selfSigned } from '../../fixtures/certificate.ts'
import { msalClientOf } from '../../fixtures/msal-client.ts'
import { clientId, registerDirectory, scope, secret, tenantId } from '../../fixtures/todo-api.ts'

interface Tap { teardown (work: () => unknown): unknown }

async function start (t: Tap, options: Parameters<typeof startEntraEmulator>[0] = {}) {
  const entra = await startEntraEmulator(options)
  t.teardown(() => entra.close())
  registerDirectory(entra)
  const ask = () => fetch(`${entra.instance}${tenantId}/oauth2/v2.0/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId, client_secret: secret, scope }) })
  const askIdentity = () => fetch(`${entra.env['IDENTITY_ENDPOINT']}?api-version=2019-08-01&resource=https://vault.azure.net`, { headers: { 'X-IDENTITY-HEADER': entra.env['IDENTITY_HEADER']! } })
  return { entra, ask, askIdentity }
}

t.test('it listens on loopback only', async t => {
  for (const host of ['0.0.0.0', '::', '10.0.0.4', 'example.com', '']) {
    await t.rejects(startEntraEmulator({ host: host as 'localhost' }), { name: 'TypeError', message: /loopback only/ })
  }
  for (const host of ['127.0.0.1', 'localhost'] as const) {
    const { entra, ask } = await start(t, { host })
    t.equal(new URL(entra.instance).hostname, host)
    t.equal((await ask()).status, 200)
  }
})

t.test('arguments that are not right are refused by name', async t => {
  const { entra } = await start(t)
  for (const [call, message] of [
    [() => entra.registerApp({ clientId: 'x', tenantId }), /registerApp: clientId: expected a GUID/],
    [() => entra.registerApp({ clientId, tenantId }), /registerApp: clientId: .* is registered already/],
    [() => entra.registerApp({ clientId, tenantId, secret: 's' } as never), /registerApp: secret/],
    [() => entra.registerApp({ clientId, tenantId, secrets: [1] } as never), /registerApp: secrets\.0/],
    [() => entra.registerManagedIdentity({ resourceId: 'x' }), /registerManagedIdentity: resourceId/],
    [() => entra.registerManagedIdentity({ source: 'moon' } as never), /registerManagedIdentity: source: expected one of app-service, .* service-fabric/],
    [() => entra.fail({ status: 700 }), /fail: status/],
    [() => entra.fail({ statsu: 503 } as never), /fail: statsu/],
    [() => entra.fail({ when: true } as never), /fail: when/],
    [() => entra.fail({ delay: 2 ** 31 }), /fail: delay/],
    [() => entra.fail({ endpoint: 'token', times: 2, hang: false }), /fail: options: expected what happens/],
  ] as const) {
    t.throws(call, { name: 'TypeError', message })
  }
  await t.rejects(startEntraEmulator({ port: -1 }), { message: /startEntraEmulator: port/ })
  await t.rejects(startEntraEmulator({ now: 1 } as never), { message: /startEntraEmulator: now/ })
  await t.rejects(startEntraEmulator(1 as never), { message: /startEntraEmulator: options/ })
})

t.test('it records what reached it, in order, without secrets', async t => {
  const { entra, ask, askIdentity } = await start(t)
  await ask()
  await askIdentity()
  await (await fetch(`${entra.instance}elsewhere?a=1`, { headers: { authorization: 'Bearer t' } })).text()

  t.match(entra.requests, [
    { method: 'POST', path: `/${tenantId}/oauth2/v2.0/token`, endpoint: 'token', tenantId, body: { grant_type: 'client_credentials', client_secret: '***', scope }, status: 200 },
    { method: 'GET', path: '/msi/token', endpoint: 'managed-identity', query: { resource: 'https://vault.azure.net' }, headers: { 'x-identity-header': '***' }, body: {}, status: 200 },
    { endpoint: 'unknown', query: { a: '1' }, headers: { authorization: '***' }, status: 404 },
  ])
  t.equal(entra.tokenRequests.length, 2)
  t.notMatch(JSON.stringify(entra.requests), new RegExp(secret.replace(/[^a-z]+/g, '.*')))
})

t.test('faults: each is met by the next request, as often as it says', async t => {
  const { entra, ask, askIdentity } = await start(t)
  const met = async (fault: Fault) => {
    entra.fail(fault)
    const response = await ask()
    return { status: response.status, retryAfter: response.headers.get('retry-after'), type: response.headers.get('content-type'), text: await response.text() }
  }

  t.match(await met({ status: 503 }), { status: 503, text: /"error":"temporarily_unavailable".*Trace ID/ })
  t.match(await met({ status: 401, error: 'invalid_client', errorCodes: [7000215] }), { status: 401, text: /"error":"invalid_client".*"error_codes":\[7000215\]/ })
  t.match(await met({ error: 'invalid_grant' }), { status: 400, text: /"error":"invalid_grant"/ })
  t.match(await met({ errorCodes: [50076] }), { status: 400, text: /"error":"invalid_request".*AADSTS50076: .*"error_codes":\[50076\]/ })
  t.match(await met({ retryAfter: 1, errorCodes: [90033], status: 429 }), { status: 429, retryAfter: '1', text: /"error":"temporarily_unavailable".*"error_codes":\[90033\]/ })
  t.match(await met({ status: 429, retryAfter: 7 }), { status: 429, retryAfter: '7' })
  t.match(await met({ retryAfter: new Date('2026-11-24T12:00:00Z') }), { status: 503, retryAfter: 'Tue, 24 Nov 2026 12:00:00 GMT' })
  t.match(await met({ retryAfter: 'soon' }), { retryAfter: 'soon' })
  t.match(await met({ status: 502, body: '<html>', contentType: 'text/html' }), { status: 502, type: /text\/html/, text: '<html>' })
  t.match(await met({ body: '{"access_token"' }), { status: 200, text: '{"access_token"' })
  t.match(await met({ delay: 1 }), { status: 200, text: /access_token/ })
  entra.fail({ reset: true })
  await t.rejects(ask())
  t.equal((await ask()).status, 200, 'and then all is well again')
  entra.fail({ delay: 1, reset: true })
  await t.rejects(ask())

  entra.fail({ status: 500, times: 2 })
  t.strictSame([(await ask()).status, (await askIdentity()).status, (await ask()).status], [500, 500, 200])
  entra.fail({ status: 500, endpoint: 'managed-identity' })
  t.strictSame([(await ask()).status, (await askIdentity()).status], [200, 500])
  entra.fail({ status: 500, when: ({ query }) => query['resource'] !== undefined })
  t.strictSame([(await ask()).status, (await askIdentity()).status], [200, 500])
  entra.fail({ status: 500, endpoint: 'keys' })
  entra.fail({ status: 500, endpoint: 'discovery' })
  t.strictSame([(await fetch(entra.jwksUri(tenantId))).status, (await fetch(`${entra.instance}common/discovery/instance`)).status], [500, 500])
  const withdraw = entra.fail({ status: 500, times: Infinity })
  t.equal((await ask()).status, 500)
  withdraw()
  withdraw()
  t.equal((await ask()).status, 200)
})

t.test('a fault has the shape of the endpoint that it happens at', async t => {
  const { entra, ask, askIdentity } = await start(t)
  const askMachine = () => fetch(`${entra.envOf('imds')['AZURE_POD_IDENTITY_AUTHORITY_HOST']}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net`, { headers: { Metadata: 'true' } })
  entra.fail({ status: 429, retryAfter: 3, times: 3 })

  const answers = await Promise.all([ask(), askIdentity(), askMachine()])

  t.strictSame(answers.map(({ status, headers }) => [status, headers.get('retry-after')]), [[429, '3'], [429, '3'], [429, '3']])
  const [ofEntraId, ofAppService, ofMachine] = await Promise.all(answers.map(answer => answer.json()))
  t.match(ofEntraId, { error: 'temporarily_unavailable', error_codes: [], trace_id: String })
  t.strictSame(ofAppService, { statusCode: 429, message: 'The emulator was told to fail.' })
  t.strictSame(ofMachine, { error: 'temporarily_unavailable', error_description: 'The emulator was told to fail.' })
})

t.test('what goes wrong in the test\'s own code is not taken for an answer of Azure', async t => {
  const { entra, ask, askIdentity } = await start(t)
  const askMachine = () => fetch(`${entra.envOf('imds')['AZURE_POD_IDENTITY_AUTHORITY_HOST']}/metadata/identity/oauth2/token`)
  entra.fail({ status: 503, when: () => { throw new Error('a slip of the test') } })

  for (const answer of [await ask(), await askIdentity(), await askMachine()]) t.match([answer.status, await answer.json()], [500, { message: 'a slip of the test' }])
})

t.test('close ends requests that hang or are delayed', async t => {
  const { entra, ask } = await start(t)
  entra.fail({ hang: true })
  entra.fail({ delay: 2 ** 31 - 1 })
  const outcomes = Promise.allSettled([ask(), ask()])
  while (entra.requests.length < 2) await new Promise(resolve => setImmediate(resolve))

  await entra.close()

  t.match(await outcomes, [{ status: 'rejected' }, { status: 'rejected' }])
})

t.test('it can be served over https', async t => {
  const { key, cert } = await selfSigned()
  const { entra } = await start(t, { tls: { key, cert } })
  const dispatcher = new Agent({ connect: { ca: cert } })
  t.teardown(() => dispatcher.close())

  const { statusCode, body } = await undiciRequest(entra.jwksUri(tenantId), { dispatcher })

  t.match(entra.instance, /^https:/)
  t.equal(statusCode, 200)
  t.match(await body.json(), { keys: [{ kty: 'RSA', issuer: entra.issuer(tenantId) }] })
})

t.test('MSAL itself takes it for Entra ID', async t => {
  const { entra } = await start(t)
  const app = await msalClientOf(entra)

  t.match(await app.acquireTokenByClientCredential({ scopes: [scope] }), { accessToken: /^eyJ/, tokenType: 'Bearer', fromCache: false })
  t.match(await app.acquireTokenByClientCredential({ scopes: [scope] }), { fromCache: true })
})
