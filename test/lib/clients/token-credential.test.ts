import t from 'tap'
import { createDefaultHttpClient, createEmptyPipeline, createPipelineRequest, bearerTokenAuthenticationPolicy, tlsPolicy } from '@azure/core-rest-pipeline'
import { isTokenCredential } from '@azure/core-auth'
import { decodeJwt, type JWTPayload } from 'jose'
import { tokenCredential, type TokenCredential } from '../../../plugins/index.ts'
import { buildIn, startWorld } from '../../fixtures/build.ts'
import { startHttpsServer } from '../../fixtures/https-server.ts'
import { apiClientId, clientId, scope, secret, tenantId, userAssignedClientId } from '../../fixtures/todo-api.ts'

const otherTenantId = '66666666-6666-4666-8666-666666666666'
const vault = 'https://vault.azure.net/.default'

/** A pipeline as Azure SDK clients have it, against a server that keeps what the tokens of its callers say. */
async function startAzureService (t: Parameters<typeof startHttpsServer>[0], challengeOf: (callers: readonly JWTPayload[]) => string | undefined = () => undefined) {
  const callers: JWTPayload[] = []
  const { origin, cert } = await startHttpsServer(t, ({ headers }, response) => {
    callers.push(decodeJwt(headers.authorization!.slice('Bearer '.length)))
    const challenge = challengeOf(callers)
    if (challenge === undefined) response.writeHead(200).end('done')
    else response.writeHead(401, { 'www-authenticate': challenge }).end()
  })
  const call = (credential: TokenCredential, scopes: string | string[], options: { abortSignal?: AbortSignal } = {}) => {
    const pipeline = createEmptyPipeline()
    pipeline.addPolicy(bearerTokenAuthenticationPolicy({ credential, scopes }))
    pipeline.addPolicy(tlsPolicy({ ca: cert }))
    return pipeline.sendRequest(createDefaultHttpClient(), createPipelineRequest({ url: origin, disableKeepAlive: true, ...options }))
  }
  return { callers, call }
}

t.test('an Azure SDK client calls as the app, and with a managed identity', async t => {
  const world = await startWorld(t)
  const { callers, call } = await startAzureService(t)
  const { authorizationHeaderProvider } = await buildIn(t, world)

  for (const options of [{ requestAppToken: true }, { acquireTokenOptions: { managedIdentity: {} } }, { acquireTokenOptions: { managedIdentity: { userAssignedClientId } } }]) {
    const credential = tokenCredential(authorizationHeaderProvider, options)
    t.ok(isTokenCredential(credential))
    t.match(await call(credential, vault), { status: 200, bodyAsText: 'done' })
  }

  t.match(callers.map(({ azp }) => azp), [clientId, world.identities.systemAssigned.clientId, userAssignedClientId])
})

t.test('a token is told with its life in milliseconds', async t => {
  const world = await startWorld(t, { accessTokenLifetime: 10_000, refreshIn: 4_000 })
  const { authorizationHeaderProvider } = await buildIn(t, world)
  const before = Date.now()
  const credential = tokenCredential(authorizationHeaderProvider, { requestAppToken: true })

  const token = await credential.getToken(vault)
  const again = await credential.getToken([vault])

  t.equal(decodeJwt(token.token)['azp'], clientId)
  t.equal(token.tokenType, 'Bearer')
  t.ok(Math.abs(token.expiresOnTimestamp - before - 10_000_000) < 60_000)
  t.ok(Math.abs(token.refreshAfterTimestamp! - before - 4_000_000) < 60_000)
  t.strictSame(again, token, 'from the cache')
})

t.test('a token of which nobody said when to renew it does not say so', async t => {
  const world = await startWorld(t)
  const { authorizationHeaderProvider } = await buildIn(t, world)

  t.notOk('refreshAfterTimestamp' in await tokenCredential(authorizationHeaderProvider, { requestAppToken: true }).getToken(vault))
})

t.test('scopes that are given go before those that the client names', async t => {
  const world = await startWorld(t)
  const { callers, call } = await startAzureService(t)
  const { authorizationHeaderProvider } = await buildIn(t, world)

  await call(tokenCredential(authorizationHeaderProvider, { scopes: scope, requestAppToken: true }), vault)

  t.match(callers, [{ aud: apiClientId }])
})

t.test('a claims challenge is answered with a new token for these claims', async t => {
  const claims = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}'
  const challenge = `Bearer authorization_uri="https://login.microsoftonline.com/common", error="insufficient_claims", claims="${Buffer.from(claims).toString('base64')}"`
  const world = await startWorld(t)
  const { callers, call } = await startAzureService(t, ({ length }) => length === 1 ? challenge : undefined)
  const { authorizationHeaderProvider } = await buildIn(t, world)

  t.match(await call(tokenCredential(authorizationHeaderProvider, { requestAppToken: true }), vault), { status: 200 })

  t.equal(callers.length, 2)
  t.equal(world.entra.tokenRequests.length, 2)
  t.match(JSON.parse(world.entra.tokenRequests[1]?.body['claims'] ?? '{}'), JSON.parse(claims))
})

t.test('claims that are no JSON object are refused', async t => {
  const world = await startWorld(t)
  const { authorizationHeaderProvider } = await buildIn(t, world)

  await t.rejects(tokenCredential(authorizationHeaderProvider, { requestAppToken: true }).getToken(vault, { claims: 'claims' }), { code: 'FST_IDW_CONFIG_INVALID' })
})

t.test('the tenant that a client asks for gives the token', async t => {
  const world = await startWorld(t)
  world.entra.registerApp({ clientId, tenantId: otherTenantId, secrets: [secret] })
  const { authorizationHeaderProvider } = await buildIn(t, world)
  const credential = tokenCredential(authorizationHeaderProvider, { requestAppToken: true })

  const tenants = []
  for (const options of [{}, { tenantId: otherTenantId }, { tenantId }]) tenants.push(decodeJwt((await credential.getToken(vault, options)).token)['tid'])

  t.strictSame(tenants, [tenantId, otherTenantId, tenantId])
  for (const asked of ['../x', 'common', 'a/b']) await t.rejects(credential.getToken(vault, { tenantId: asked }), { code: /^FST_IDW_(CONFIG_INVALID|TENANT_REQUIRED)$/ }, asked)
})

t.test('a managed identity belongs to its own tenant, whatever a client asks for', async t => {
  const world = await startWorld(t)
  const { authorizationHeaderProvider } = await buildIn(t, world)
  const credential = tokenCredential(authorizationHeaderProvider, { acquireTokenOptions: { managedIdentity: {} } })

  t.equal(decodeJwt((await credential.getToken(vault, { tenantId: otherTenantId })).token)['tid'], tenantId)
})

t.test('a call that is aborted while it waits for its token ends with the reason of the signal', async t => {
  const world = await startWorld(t)
  const { callers, call } = await startAzureService(t)
  const { authorizationHeaderProvider } = await buildIn(t, world)
  const credential = tokenCredential(authorizationHeaderProvider, { requestAppToken: true })
  world.entra.fail({ hang: true })
  const controller = new AbortController()

  const outcome = t.rejects(call(credential, vault, { abortSignal: controller.signal }), { name: 'AbortError' })
  while (world.entra.tokenRequests.length === 0) await new Promise(resolve => setImmediate(resolve))
  controller.abort()

  await outcome
  t.strictSame(callers, [])
  await t.rejects(credential.getToken(vault, { abortSignal: AbortSignal.abort(new Error('enough')) }), { message: 'enough' })
})

t.test('signals that only look like an AbortSignal are heeded too', async t => {
  const world = await startWorld(t)
  const { authorizationHeaderProvider } = await buildIn(t, world)
  const credential = tokenCredential(authorizationHeaderProvider, { requestAppToken: true })
  const listeners = new Set<() => void>()
  const alike = {
    aborted: false,
    addEventListener: (_: 'abort', listener: () => void) => { listeners.add(listener) },
    removeEventListener: (_: 'abort', listener: () => void) => { listeners.delete(listener) },
  }
  world.entra.fail({ hang: true })

  const outcome = t.rejects(credential.getToken(vault, { abortSignal: alike }), { name: 'AbortError' })
  while (world.entra.tokenRequests.length === 0) await new Promise(resolve => setImmediate(resolve))
  alike.aborted = true
  for (const listener of listeners) listener()

  await outcome
  t.equal(listeners.size, 0, 'nothing is left on the signal')
  await t.rejects(credential.getToken(vault, { abortSignal: { ...alike, aborted: true } }), { name: 'AbortError' })
  t.equal(listeners.size, 0)
})

t.test('without requestAppToken and a managed identity, a token is the caller\'s, and never silently the app\'s', async t => {
  const world = await startWorld(t)
  const { authorizationHeaderProvider } = await buildIn(t, world)

  await t.rejects(tokenCredential(authorizationHeaderProvider).getToken(vault), { code: 'FST_IDW_USER_TOKEN_REQUIRED' })
  t.equal(world.entra.tokenRequests.length, 0)
})

t.test('the options of a credential are not changed by what a client asks for', async t => {
  const world = await startWorld(t)
  const { authorizationHeaderProvider } = await buildIn(t, world)
  const options = Object.freeze({ requestAppToken: true, acquireTokenOptions: Object.freeze({ tenant: tenantId }) })
  const credential = tokenCredential(authorizationHeaderProvider, options)

  await t.rejects(credential.getToken(vault, { tenantId: otherTenantId }), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED' })
  t.equal(decodeJwt((await credential.getToken(vault)).token)['tid'], tenantId)
})
