import t from 'tap'
import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { ManagedIdentityApplication } from '@azure/msal-node'
import { Agent, getGlobalDispatcher, ProxyAgent, setGlobalDispatcher } from 'undici'
import { managedIdentitySource } from '../../lib/tokens/managed-identity-source.ts'
import { startEntraEmulator } from '../../plugins/testing.ts'
import { build, buildIn, startWorld } from '../fixtures/build.ts'
import { selfSigned } from '../fixtures/certificate.ts'
import { useEnvironment } from '../fixtures/environment.ts'
import { answerJson, startRawServer, type RawRequest } from '../fixtures/raw-server.ts'
import { scope as todoScope } from '../fixtures/todo-api.ts'

type Tap = Parameters<typeof startRawServer>[0]
type Environment = Record<string, string>

const resource = 'api://todo'
const scope = `${resource}/.default`
const clientId = '44444444-4444-4444-8444-444444444444'
const objectId = '55555555-5555-4555-8555-555555555555'
const resourceId = '/subscriptions/6b29/resourceGroups/todo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/todo'
const byKind = { userAssignedClientId: clientId, userAssignedObjectId: objectId, userAssignedResourceId: resourceId }
const msalContentType = 'application/x-www-form-urlencoded;charset=utf-8'

function answerToken (response: ServerResponse, accessToken: string, more: object = {}): void {
  answerJson(response, 200, { access_token: accessToken, expires_on: String(Math.floor(Date.now() / 1000) + 86_399), resource, token_type: 'Bearer', ...more })
}

/** An endpoint that gives each request a token of its own. */
function startEndpoint (t: Tap, answer: (request: RawRequest, response: ServerResponse, count: number) => void = (_, response, count) => answerToken(response, `token ${count}`)) {
  let count = 0
  return startRawServer(t, (request, response) => answer(request, response, ++count))
}

/** What arrived, without what every request has. */
function arrived ({ method, url, headers, body }: RawRequest) {
  const { host: _, connection: __, 'content-length': ___, ...others } = headers
  const [path, query] = url.split('?')
  return { method, path, query: Object.fromEntries(new URLSearchParams(query)), headers: others, body }
}

const withoutApis = { downstreamApis: {} }

t.test('App Service is asked with its header, for the bare resource and by each kind of id', async t => {
  const { origin, requests } = await startEndpoint(t)
  useEnvironment(t, { IDENTITY_ENDPOINT: `${origin}/msi/token`, IDENTITY_HEADER: 'identity-header-value' })
  const { tokenAcquirer } = await build(t, withoutApis)

  const token = await tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} })
  for (const [kind, id] of Object.entries(byKind)) await tokenAcquirer.getTokenForApp(scope, { managedIdentity: { [kind]: id } })

  t.match(token, { accessToken: 'token 1', tokenType: 'Bearer', tokenSource: 'identity-provider', tenantId: undefined, scopes: [scope] })
  const common = { 'api-version': '2019-08-01', resource }
  t.strictSame(requests.map(({ headers, ...request }) => arrived({ ...request, headers: { ...headers, 'x-ms-client-request-id': undefined } as RawRequest['headers'] })), [
    {}, { client_id: clientId }, { object_id: objectId }, { mi_res_id: resourceId },
  ].map(query => ({ method: 'GET', path: '/msi/token', query: { ...common, ...query }, headers: { 'x-identity-header': 'identity-header-value', 'content-type': msalContentType, 'x-ms-client-request-id': undefined }, body: '' })))
})

t.test('IMDS is asked with its metadata header and no proxy marks, by each kind of id', async t => {
  const { origin, requests } = await startEndpoint(t)
  useEnvironment(t, { AZURE_POD_IDENTITY_AUTHORITY_HOST: origin })
  const { tokenAcquirer } = await build(t, withoutApis)

  await tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} })
  for (const [kind, id] of Object.entries(byKind)) await tokenAcquirer.getTokenForApp(scope, { managedIdentity: { [kind]: id } })

  const common = { 'api-version': '2018-02-01', resource }
  t.match(requests.map(arrived), [
    {}, { client_id: clientId }, { object_id: objectId }, { msi_res_id: resourceId },
  ].map(query => ({ method: 'GET', path: '/metadata/identity/oauth2/token/', query: { ...common, ...query }, headers: { metadata: 'true', 'x-ms-client-request-id': /^[0-9a-f-]{36}$/ } })))
  t.strictSame(requests.flatMap(({ headers }) => Object.keys(headers)).filter(name => /^(authorization|via|forwarded|x-forwarded|x-identity|secret|proxy)/.test(name)), [])
  t.strictSame(requests.map(({ url }) => [...new URLSearchParams(url.split('?')[1])].length), [2, 3, 3, 3], 'and nothing else is asked')
})

t.test('Cloud Shell is asked by POST, for the user of the shell only', async t => {
  const { origin, requests } = await startEndpoint(t)
  useEnvironment(t, { MSI_ENDPOINT: `${origin}/oauth2/token` })
  const { tokenAcquirer } = await build(t, withoutApis)

  t.equal((await tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} })).accessToken, 'token 1')

  t.match(requests.map(arrived), [{ method: 'POST', path: '/oauth2/token', query: {}, headers: { metadata: 'true', 'content-type': msalContentType }, body: `resource=${encodeURIComponent(resource)}` }])
})

t.test('Machine Learning is asked with its secret, for its default identity or by client id', async t => {
  const { origin, requests } = await startEndpoint(t)
  useEnvironment(t, { MSI_ENDPOINT: `${origin}/msi/token`, MSI_SECRET: 'msi-secret-value', DEFAULT_IDENTITY_CLIENT_ID: objectId })
  const { tokenAcquirer } = await build(t, withoutApis)

  await tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} })
  await tokenAcquirer.getTokenForApp(scope, { managedIdentity: { userAssignedClientId: clientId } })

  t.match(requests.map(arrived), [objectId, clientId].map(clientid => ({
    method: 'GET', path: '/msi/token', query: { 'api-version': '2017-09-01', resource, clientid }, headers: { metadata: 'true', secret: 'msi-secret-value' },
  })))
})

t.test('Service Fabric is asked with its secret', async t => {
  const { origin, requests } = await startEndpoint(t)
  useEnvironment(t, { IDENTITY_ENDPOINT: `${origin}/metadata/identity/oauth2/token`, IDENTITY_HEADER: 'identity-header-value', IDENTITY_SERVER_THUMBPRINT: '0'.repeat(40) })
  const { tokenAcquirer } = await build(t, withoutApis)

  t.equal((await tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} })).accessToken, 'token 1')

  t.match(requests.map(arrived), [{ method: 'GET', path: '/metadata/identity/oauth2/token', query: { 'api-version': '2019-07-01-preview', resource }, headers: { secret: 'identity-header-value' } }])
})

t.test('Service Fabric over TLS is known by the thumbprint of its certificate, and by nothing else', async t => {
  const { key, cert } = await selfSigned()
  const { entra } = await startWorld(t, { serviceFabric: { key, cert } })
  const environment = entra.envOf('service-fabric')
  const thumbprint = environment['IDENTITY_SERVER_THUMBPRINT']!
  const { tokenAcquirer } = await build(t, withoutApis)

  for (const spelling of [thumbprint, thumbprint.toLowerCase()]) {
    useEnvironment(t, { ...environment, IDENTITY_SERVER_THUMBPRINT: spelling })
    t.match(await tokenAcquirer.getTokenForApp(todoScope, { managedIdentity: {}, forceRefresh: true }), { accessToken: /^eyJ/ })
  }
  useEnvironment(t, { ...environment, IDENTITY_SERVER_THUMBPRINT: '0'.repeat(40) })
  await t.rejects(tokenAcquirer.getTokenForApp(todoScope, { managedIdentity: {}, forceRefresh: true }), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', message: /IDENTITY_SERVER_THUMBPRINT/, cause: Error })

  useEnvironment(t, { ...environment, IDENTITY_ENDPOINT: 'https://127.0.0.1:1/token' })
  await t.rejects(tokenAcquirer.getTokenForApp(todoScope, { managedIdentity: {}, forceRefresh: true }), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', cause: { code: 'ECONNREFUSED' } } as never)

  t.equal(entra.requests.length, 2, 'the secret is not sent to another')
})

t.test('Service Fabric is told which token was challenged, so that it does not give it again; no other platform is', async t => {
  const { key, cert } = await selfSigned()
  const { entra } = await startWorld(t, { serviceFabric: { key, cert } })
  for (const [source, isTold] of [['service-fabric', true], ['app-service', false]] as const) {
    useEnvironment(t, entra.envOf(source))
    const { tokenAcquirer } = await build(t, withoutApis)
    const claims = '{"access_token":{"nbf":{"essential":true,"value":"1"}}}'
    const asked = async (options: object) => {
      await tokenAcquirer.getTokenForApp(todoScope, { managedIdentity: {}, ...options })
      return entra.tokenRequests.at(-1)?.query['token_sha256_to_refresh']
    }

    t.equal(await asked({ claims }), undefined, 'there is none yet')
    const { accessToken } = await tokenAcquirer.getTokenForApp(todoScope, { managedIdentity: {} })
    t.equal(await asked({ claims }), isTold ? createHash('sha256').update(accessToken).digest('hex') : undefined, source)
    t.equal(await asked({ forceRefresh: true }), undefined)
  }
})

const withoutArcKey = await whyNoArcKey()

t.test('Azure Arc is asked again with the key that its challenge names', { skip: withoutArcKey }, async t => {
  const { entra } = await startWorld(t)
  useEnvironment(t, entra.envOf('azure-arc'))
  const { tokenAcquirer } = await build(t, withoutApis)

  await tokenAcquirer.getTokenForApp(todoScope, { managedIdentity: {} })
  for (const [kind, id] of Object.entries(byKind)) await tokenAcquirer.getTokenForApp(todoScope, { managedIdentity: { [kind]: id } })

  const query = { 'api-version': '2020-06-01', resource: todoScope.replace('/.default', '') }
  t.match(entra.tokenRequests, [{}, { client_id: clientId }, { object_id: objectId }, { msi_res_id: resourceId }].flatMap(selector => [{ authorization: undefined, status: 401 }, { authorization: '***', status: 200 }].map(({ authorization, status }) => (
    { method: 'GET', query: { ...query, ...selector }, headers: { metadata: 'true', authorization }, status }))))

  entra.fail({ body: JSON.stringify({ access_token: 'of another', expires_on: String(Math.floor(Date.now() / 1000) + 86_399), token_type: 'Bearer' }), when: ({ headers }) => headers['authorization'] !== undefined })
  await t.rejects(tokenAcquirer.getTokenForApp(todoScope, { managedIdentity: { userAssignedObjectId: objectId }, forceRefresh: true }),
    { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', statusCode: 500, retryable: false, message: /Azure Arc answered 200; see the cause/, cause: { message: /^the managed identity endpoint of Azure Arc said: user_assigned_managed_identity_not_confirmed/ } } as never, 'an identity that it does not confirm is no token')
})

t.test('on every platform, a route of managed identity calls an API that verifies the token, and what is refused is told', async t => {
  const { key, cert } = await selfSigned()
  const world = await startWorld(t, { serviceFabric: { key, cert } })
  const { entra, todoApi, identities: { systemAssigned, userAssigned } } = world
  const declared = { config: { downstreamApi: { MyWebApi: { identity: 'managed-identity' as const } } } }

  for (const [platform, source, userAssignedIsKnown] of [
    ['Service Fabric', 'service-fabric', false],
    ['App Service', 'app-service', true],
    ['Machine Learning', 'machine-learning', true],
    ['Cloud Shell', 'cloud-shell', false],
    ['Azure Arc', 'azure-arc', true],
    ['IMDS', 'imds', true],
  ] as const) {
    await t.test(platform, { skip: source === 'azure-arc' && withoutArcKey }, async t => {
      useEnvironment(t, entra.envOf(source))
      t.equal(managedIdentitySource({}, process.env), platform)
      const app = await buildIn(t, world, {}, app => {
        app.get('/todos', declared, request => request.downstreamApi.getForApp('MyWebApi'))
      })
      const before = todoApi.callers.length

      const { statusCode } = await app.inject('/todos')
      const { expiresOn } = await app.tokenAcquirer.getTokenForApp(todoScope, { managedIdentity: {} })
      if (userAssignedIsKnown) await app.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { managedIdentity: { userAssignedClientId: clientId } } })

      t.equal(statusCode, 200)
      t.match(todoApi.callers.slice(before).map(({ oid }) => oid), [systemAssigned, ...userAssignedIsKnown ? [userAssigned] : []].map(({ objectId }) => objectId))
      t.ok(Math.abs(expiresOn.getTime() - Date.now() - 86_399_000) < 60_000, 'its expiry is understood')
      await t.rejects(app.tokenAcquirer.getTokenForApp('api://unknown/.default', { managedIdentity: {} }), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', retryable: false, message: new RegExp(`${platform} answered 400`) })
    })
  }
})

t.test('Azure Arc is not given a file from elsewhere, and the error says why', async t => {
  for (const [challenge, reason] of [
    ['Basic realm=/etc/passwd', /invalid_file_extension/],
    ['Basic realm=/etc/host.key', /invalid_file_path/],
    ['Basic realm=/var/opt/azcmagent/tokens/../../../../etc/host.key', /invalid_file_path/],
    ['Basic realm=/var/opt/azcmagent/tokens/none.key', /unable_to_read_secret_file/],
    ['Bearer', /www_authenticate_header_unsupported_format/],
    [undefined, /www_authenticate_header_missing/],
  ] as const) {
    const { origin, requests } = await startEndpoint(t, (_, response) => response.writeHead(401, challenge === undefined ? {} : { 'www-authenticate': challenge }).end())
    useEnvironment(t, { IDENTITY_ENDPOINT: origin, IMDS_ENDPOINT: origin })
    const { tokenAcquirer } = await build(t, withoutApis)

    await t.rejects(tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} }), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', statusCode: 500, message: /Azure Arc answered 401/, cause: { message: reason } } as never, String(challenge))
    t.equal(requests.length, 1)
  }
})

/** Each platform with its endpoint at `origin`. */
const platforms: Record<string, (origin: string) => Environment> = {
  'Service Fabric': origin => ({ IDENTITY_ENDPOINT: origin, IDENTITY_HEADER: 'h', IDENTITY_SERVER_THUMBPRINT: '0'.repeat(40) }),
  'App Service': origin => ({ IDENTITY_ENDPOINT: origin, IDENTITY_HEADER: 'h' }),
  'Machine Learning': origin => ({ MSI_ENDPOINT: origin, MSI_SECRET: 's', DEFAULT_IDENTITY_CLIENT_ID: clientId }),
  'Cloud Shell': origin => ({ MSI_ENDPOINT: origin }),
  'Azure Arc': origin => ({ IDENTITY_ENDPOINT: origin, IMDS_ENDPOINT: origin }),
  IMDS: origin => ({ AZURE_POD_IDENTITY_AUTHORITY_HOST: origin }),
}

for (const [platform, kinds] of [
  ['Cloud Shell', Object.keys(byKind)],
  ['Service Fabric', Object.keys(byKind)],
  ['Machine Learning', ['userAssignedObjectId', 'userAssignedResourceId']],
] as [string, (keyof typeof byKind)[]][]) {
  t.test(`${platform} is not asked for an identity that it cannot select`, async t => {
    const { origin, requests } = await startEndpoint(t)
    useEnvironment(t, platforms[platform]!(origin))
    const app = await build(t, { downstreamApis: { Api: { baseUrl: origin, scopes: scope } } })

    for (const kind of kinds) {
      const acquireTokenOptions = { managedIdentity: { [kind]: byKind[kind] } }
      const fault = { code: 'FST_IDW_CONFIG_INVALID', message: new RegExp(`managedIdentity\\.${kind}: ${platform}`) }
      await t.rejects(app.tokenAcquirer.getTokenForApp(scope, acquireTokenOptions), fault)
      await t.rejects(app.downstreamApi.getForApp('Api', { acquireTokenOptions }), fault)
    }
    t.strictSame(requests, [])
  })
}

t.test('an endpoint on another machine is not asked', async t => {
  const { origin, requests, port } = await startEndpoint(t)
  // Names and addresses of this machine that a resolver could give for any name: none of them is believed.
  for (const host of ['evil.example', '0.0.0.0', '10.0.0.4', 'localhost.evil.example', '127.0.0.1.evil.example', `${new URL(origin).host}@evil.example`]) {
    for (const [platform, environment] of Object.entries(platforms)) {
      useEnvironment(t, environment(`http://${host}:${port}/token`))
      const { tokenAcquirer } = await build(t, withoutApis)
      await t.rejects(tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} }), { code: 'FST_IDW_CONFIG_INVALID', message: /environment variable/ }, `${platform} on ${host}`)
    }
  }
  t.strictSame(requests, [])
})

t.test('the variables that are checked are those that are used, also when they change meanwhile', async t => {
  const { origin } = await startEndpoint(t)
  const other = await startEndpoint(t)
  const { tokenAcquirer } = await build(t, withoutApis)
  useEnvironment(t, platforms['App Service']!(origin))
  const asked = tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} }).then(() => undefined, () => undefined)

  useEnvironment(t, platforms['App Service']!(`http://0.0.0.0:${other.port}/token`))
  await asked

  t.strictSame(other.requests, [])
})

t.test('no proxy and no dispatcher for Entra ID is between the process and its endpoint', async t => {
  const proxy = await startRawServer(t, (_, response) => response.writeHead(502).end())
  const before = getGlobalDispatcher()
  const proxyAgent = new ProxyAgent({ uri: proxy.origin, proxyTunnel: false })
  setGlobalDispatcher(proxyAgent)
  t.teardown(() => { setGlobalDispatcher(before); return proxyAgent.destroy() })
  const variables = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'NODE_USE_ENV_PROXY', 'NO_PROXY', 'no_proxy']
  const environmentBefore = variables.map(name => [name, process.env[name]] as const)
  t.teardown(() => { for (const [name, value] of environmentBefore) { if (value === undefined) delete process.env[name]; else process.env[name] = value } })
  for (const name of variables) process.env[name] = name.toLowerCase() === 'no_proxy' ? '' : name === 'NODE_USE_ENV_PROXY' ? '1' : proxy.origin

  for (const [platform, environment] of Object.entries(platforms)) {
    const { origin, requests } = await startEndpoint(t)
    useEnvironment(t, environment(origin))
    const { tokenAcquirer } = await build(t, { ...withoutApis, identityDispatcher: proxyAgent, dispatcher: proxyAgent })
    t.equal((await tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} })).accessToken, 'token 1', platform)
    t.equal(requests.length, 1)
  }
  t.strictSame(proxy.requests, [])
})

t.test('no redirect of an endpoint is followed', async t => {
  const elsewhere = await startEndpoint(t)
  for (const [platform, environment] of Object.entries(platforms)) {
    for (const status of [301, 302, 307, 308]) {
      const { origin, requests } = await startEndpoint(t, (_, response) => response.writeHead(status, { location: elsewhere.origin }).end())
      useEnvironment(t, environment(origin))
      const { tokenAcquirer } = await build(t, withoutApis)
      await t.rejects(tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} }), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', message: new RegExp(`${platform} answered ${status}`) })
      t.equal(requests.length, 1)
    }
  }
  t.strictSame(elsewhere.requests, [])
})

t.test('client capabilities are sent to every endpoint, and claims ask it anew', async t => {
  for (const [platform, environment] of Object.entries(platforms)) {
    const { origin, requests } = await startEndpoint(t)
    useEnvironment(t, environment(origin))
    const { tokenAcquirer } = await build(t, { ...withoutApis, azureAd: { clientCapabilities: ['cp1'] } })

    await tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} })
    const claims = '{"access_token":{"nbf":{"essential":true}}}'
    t.equal((await tokenAcquirer.getTokenForApp(scope, { managedIdentity: {}, claims })).accessToken, 'token 2')

    t.strictSame(requests.map(({ url }) => new URLSearchParams(url.split('?')[1]).get('xms_cc')), ['cp1', 'cp1'], platform)
  }
})

t.test('instances with different platforms in one process do not disturb each other, one after the other and at the same time', async t => {
  const sources = await Promise.all(Object.entries(platforms).map(async ([platform, environment]) => {
    const { promise: released, release } = gate()
    const { promise: asked, release: ask } = gate()
    const server = await startEndpoint(t, async (_, response, count) => {
      if (count > 1) return answerToken(response, `${platform} ${count}`)
      ask()
      await released
      answerToken(response, `${platform} ${count}`)
    })
    return { platform, environment: environment(server.origin), app: await build(t, withoutApis), requests: server.requests, asked, release }
  }))

  // All first answers are outstanding at the same time.
  const first: Promise<unknown>[] = []
  for (const { environment, app, asked } of sources) {
    useEnvironment(t, environment)
    first.push(app.tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} }))
    await asked
  }
  for (const { release } of sources.toReversed()) release()
  t.match(await Promise.all(first), sources.map(({ platform }) => ({ accessToken: `${platform} 1` })))

  for (const { platform, environment, app, requests } of sources) {
    useEnvironment(t, environment)
    t.match(await app.tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} }), { accessToken: `${platform} 1`, tokenSource: 'cache' })
    t.match(await app.tokenAcquirer.getTokenForApp(scope, { managedIdentity: {}, forceRefresh: true }), { accessToken: `${platform} 2` })
    t.equal(requests.length, 2)
  }
})

t.test('instances share no token', async t => {
  const { origin } = await startEndpoint(t)
  useEnvironment(t, platforms['App Service']!(origin))
  const tokens = await Promise.all([build(t, withoutApis), build(t, withoutApis)].map(async app => (await app).tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} })))
  t.equal(new Set(tokens.map(({ accessToken }) => accessToken)).size, 2)
})

t.test('another user of MSAL in the process keeps its own cache, source and network client', async t => {
  const { promise: released, release } = gate()
  const { promise: asked, release: ask } = gate()
  const ours = await startEndpoint(t, async (_, response, count) => { ask(); await released; answerToken(response, `ours ${count}`) })
  const theirs = await startEndpoint(t, (_, response, count) => answerToken(response, `theirs ${count}`))
  const theirAgent = new Agent()
  t.teardown(() => theirAgent.destroy())
  let calls = 0
  const networkClient = {
    async sendGetRequestAsync (url: string, { headers = {} }: { headers?: Record<string, string> } = {}) {
      calls++
      const response = await fetch(url, { headers, dispatcher: theirAgent as never })
      return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.json() as never }
    },
    sendPostRequestAsync () { return Promise.reject(new Error('unused')) },
  }
  const { tokenAcquirer } = await build(t, withoutApis)

  useEnvironment(t, platforms['App Service']!(theirs.origin))
  const other = new ManagedIdentityApplication({ system: { networkClient } })
  t.equal((await other.acquireToken({ resource })).accessToken, 'theirs 1')

  useEnvironment(t, platforms['Cloud Shell']!(ours.origin))
  const our = tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} })
  await asked
  t.equal((await other.acquireToken({ resource })).accessToken, 'theirs 1', 'its cache, while ours is under way')
  t.equal((await other.acquireToken({ resource, forceRefresh: true })).accessToken, 'theirs 2', 'its source, although the environment is another')
  release()
  t.equal((await our).accessToken, 'ours 1')
  t.equal((await other.acquireToken({ resource })).accessToken, 'theirs 2')
  t.strictSame([calls, theirs.requests.length, ours.requests.length], [2, 2, 1])
})

function gate () {
  let release!: () => void
  const promise = new Promise<void>(resolve => { release = resolve })
  return { promise, release }
}

/** Why Azure Arc cannot be tested here; `false` where it can. */
async function whyNoArcKey (): Promise<string | false> {
  const entra = await startEntraEmulator()
  try {
    return process.platform === 'linux' && Boolean(entra.envOf('azure-arc')) ? false : 'where the key of an Azure Arc machine is, depends on the platform'
  } catch (error) {
    return (error as Error).message
  } finally {
    await entra.close()
  }
}
