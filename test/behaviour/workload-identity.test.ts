import t from 'tap'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from '../fixtures/build.ts'
import { useEnvironment } from '../fixtures/environment.ts'
import { clientId, replaceFile, scope, sectionsOf, startFederation, tenantId, type Federation } from '../fixtures/federation.ts'

const todos = [{ id: 1 }]
const podClientId = '66666666-6666-4666-8666-666666666666'
const managedIdentity = { ManagedIdentity: {} }

/** A pod, with the variables that the webhook of AKS gives it. */
async function startPod (t: { teardown (work: () => unknown): unknown, testdir (content: Record<string, string>): string }) {
  const federation = await startFederation(t)
  const path = join(t.testdir({ token: await federation.sign() }), 'token')
  const environment = { AZURE_CLIENT_ID: podClientId, AZURE_TENANT_ID: tenantId, AZURE_FEDERATED_TOKEN_FILE: path, AZURE_AUTHORITY_HOST: federation.origin }
  useEnvironment(t, environment)
  return { federation, path, environment }
}

/** An application without an app section: its API is called with the managed identity. */
function appOf (t: Parameters<typeof build>[0], federation: Federation) {
  const { MyWebApi } = sectionsOf(federation, [], managedIdentity)
  return build(t, { config: { MyWebApi } })
}

t.test('on AKS, a managed identity is the workload identity of the pod, and needs no AzureAd section', async t => {
  const { federation } = await startPod(t)
  const app = await appOf(t, federation)

  t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos)
  t.strictSame(federation.callers, [podClientId])
  t.match(federation.requests, [{ path: `/${tenantId}/oauth2/v2.0/token`, client_id: podClientId, scope, grant_type: 'client_credentials' }])
  t.match(await app.tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} }), { tenantId, tokenSource: 'cache' })
  t.match(app.tokenAcquirer.diagnostics(), [{ flow: 'managedIdentity', tenantId, clientId: podClientId }])
})

t.test('a user-assigned identity is selected by its client id, and has tokens of its own', async t => {
  const { federation } = await startPod(t)
  const app = await appOf(t, federation)
  const other = '77777777-7777-4777-8777-777777777777'

  await app.downstreamApi.getForApp('MyWebApi')
  await app.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { managedIdentity: { userAssignedClientId: other } } })
  t.strictSame(federation.callers, [podClientId, other])
  await t.rejects(app.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { managedIdentity: { userAssignedObjectId: other } } }), { code: 'FST_IDW_CONFIG_INVALID', message: /Workload Identity cannot select an identity by it; use userAssignedClientId/ })
})

t.test('claims and client capabilities go along', async t => {
  const { federation } = await startPod(t)
  const { MyWebApi } = sectionsOf(federation, [], managedIdentity)
  const app = await build(t, { config: { AzureAd: { ClientCapabilities: ['cp1'] }, MyWebApi } })

  await app.downstreamApi.getForApp('MyWebApi')
  await app.tokenAcquirer.getTokenForApp(scope, { managedIdentity: {}, claims: '{"access_token":{"nbf":{"essential":true}}}' })
  const [plain, challenged] = federation.requests.map(({ claims = '{}' }) => JSON.parse(claims) as object)
  t.match(plain, { access_token: { xms_cc: { values: ['cp1'] } } })
  t.match(challenged, { access_token: { xms_cc: { values: ['cp1'] }, nbf: { essential: true } } })
})

t.test('while the cluster rotates its key, the file and refuses what was signed before, no call fails', async t => {
  const { federation, path } = await startPod(t)
  const app = await appOf(t, federation)
  const call = async (index: number) => {
    if (index === 60 || index === 140) await federation.rotate(assertion => replaceFile(path, assertion))
    // An identity of its own for each, so that each must acquire a token.
    return app.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { managedIdentity: { userAssignedClientId: `77777777-7777-4777-8777-777777777${index + 100}` } } })
  }
  const waiting = Array.from({ length: 200 }, (_, index) => index)
  const outcomes: PromiseSettledResult<unknown>[] = []
  await Promise.all(Array.from({ length: 20 }, async () => {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) outcomes.push(...await Promise.allSettled([call(index)]))
  }))

  t.equal(outcomes.length, 200)
  t.strictSame(outcomes.filter(({ status }) => status === 'rejected'), [])
  t.equal(federation.callers.length, 200)
})

t.test('the file is read again after a refusal, and asked with once more', async t => {
  const { federation } = await startPod(t)
  const app = await appOf(t, federation)
  await federation.rotate()

  await t.rejects(app.downstreamApi.getForApp('MyWebApi'), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', errorCodes: [700027], message: /Entra ID answered 401/ })
  t.equal(federation.requests.length, 2)
})

t.test('a file that is gone is told, and fails no call whose token is cached', async t => {
  const { federation, path, environment } = await startPod(t)
  const app = await appOf(t, federation)
  await app.downstreamApi.getForApp('MyWebApi')
  rmSync(path)

  t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos)
  useEnvironment(t, { ...environment, AZURE_FEDERATED_TOKEN_FILE: `${path}-missing` })
  await t.rejects(app.tokenAcquirer.getTokenForApp('api://other/.default', { managedIdentity: {} }), { code: 'FST_IDW_CREDENTIAL_NOT_LOADED', message: /^The workload identity cannot be proved: the file cannot be read \(ENOENT\)/, cause: { cause: { message: /token-missing$/ } } })
})

t.test('where a managed identity endpoint is there too, that is asked', async t => {
  const { federation, environment } = await startPod(t)
  useEnvironment(t, { ...environment, ...federation.identityEnvironment })
  const app = await build(t, { config: {} })

  await app.tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} })
  t.equal(federation.identityRequests.length, 1)
  t.equal(federation.requests.length, 0)
})

t.test('an authority that is none gets no token of the pod', async t => {
  const { federation, environment } = await startPod(t)
  const other = federation.origin.replace('127.0.0.1', 'evil.example')
  useEnvironment(t, { ...environment, AZURE_AUTHORITY_HOST: other })
  const app = await build(t, { config: {} })

  await t.rejects(app.tokenAcquirer.getTokenForApp(scope, { managedIdentity: {} }), { code: 'FST_IDW_CONFIG_INVALID', message: /AZURE_AUTHORITY_HOST/ })
  t.strictSame(federation.requests, [])
})

t.test('the workload identity of a pod can prove an app, as a managed identity does', async t => {
  const { federation } = await startPod(t)
  const app = await build(t, { config: sectionsOf(federation, [{ SourceType: 'SignedAssertionFromManagedIdentity' }]) })

  // The token of the pod's identity is an app token of the same Entra ID, which here trusts none but the cluster's.
  await t.rejects(app.downstreamApi.getForApp('MyWebApi'), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', errorCodes: [700027] })
  t.match(federation.requests[0], { client_id: podClientId, scope: 'api://AzureADTokenExchange/.default' })
  t.match(federation.requests.at(-1), { client_id: clientId, scope })
})
