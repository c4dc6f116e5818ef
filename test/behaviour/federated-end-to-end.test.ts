import t from 'tap'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyIdentityWebOptions } from '../../plugins/index.ts'
import { build, startWorld } from '../fixtures/build.ts'
import { useEnvironment } from '../fixtures/environment.ts'
import { apiClientId, appSettings, tenantId, userAssignedClientId } from '../fixtures/todo-api.ts'

type Tap = Parameters<typeof startWorld>[0] & { testdir (content: Record<string, string>): string }

const todos = [{ id: 1, title: 'write the tests first' }]
const clientId = '88888888-8888-4888-8888-888888888888'
const podClientId = '99999999-9999-4999-8999-999999999999'
const appRoleAssignments = { [`api://${apiClientId}`]: ['Todo.Read'] }

/** An Entra ID whose app trusts a managed identity, a service account and an issuer, and has no secret. */
async function startTrust (t: Tap) {
  const world = await startWorld(t)
  const { entra, identities, todoApi } = world
  const account = await entra.registerServiceAccount({ namespace: 'shop', name: 'orders', file: join(t.testdir({}), 'token'), clientId: podClientId, tenantId })
  const federatedCredentials = [
    { issuer: entra.issuer(tenantId), subject: identities.userAssigned.objectId },
    { issuer: account.issuer, subject: account.subject },
    { issuer: entra.federatedIssuer, subject: 'the signer' },
  ]
  entra.registerApp({ clientId, tenantId, federatedCredentials, appRoleAssignments })
  const pod = entra.registerApp({ clientId: podClientId, tenantId, federatedCredentials, appRoleAssignments })
  const appWith = (credential: object, options: FastifyIdentityWebOptions = {}) => {
    const { AzureAd, MyWebApi } = appSettings(entra, todoApi.baseUrl)
    return build(t, { config: { AzureAd: { ...AzureAd, ClientId: clientId, ClientCredentials: [credential] }, MyWebApi }, ...options })
  }
  return { ...world, account, pod, appWith }
}

t.test('an app without a secret is proved by each kind of signed assertion, and the API verifies its token', async t => {
  const { entra, account, todoApi, appWith } = await startTrust(t)
  const signer = () => entra.issueFederatedToken({ subject: 'the signer' })

  for (const [credential, options] of [
    [{ SourceType: 'SignedAssertionFromManagedIdentity', ManagedIdentityClientId: userAssignedClientId }, {}],
    [{ SourceType: 'SignedAssertionFilePath', SignedAssertionFileDiskPath: account.file }, {}],
    [{ SourceType: 'CustomSignedAssertion', CustomSignedAssertionProviderName: 'signer' }, { customSignedAssertionProviders: { signer } }],
    [{ SourceType: 'SignedAssertionFromVault', CustomSignedAssertionProviderName: 'signer' }, { customSignedAssertionProviders: { signer } }],
  ] as const) {
    const app = await appWith(credential, options)
    t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos, credential.SourceType)
    t.match(todoApi.callers.at(-1), { azp: clientId, azpacr: '2', roles: ['Todo.Read'] })
  }
})

t.test('a managed identity that the app does not trust is refused, and the error says so', async t => {
  const { appWith } = await startTrust(t)
  const app = await appWith({ SourceType: 'SignedAssertionFromManagedIdentity' })

  await t.rejects(app.downstreamApi.getForApp('MyWebApi'), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', errorCodes: [700213] })
})

t.test('in a pod of AKS, a managed identity is its workload identity, through the rotation of its token and of the cluster\'s key', async t => {
  const { entra, account, todoApi, pod } = await startTrust(t)
  useEnvironment(t, account.env)
  const { MyWebApi } = appSettings(entra, todoApi.baseUrl, { ManagedIdentity: {} })
  const app = await build(t, { config: { MyWebApi } })

  t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos)
  await account.rotate({ key: true })
  t.strictSame(await app.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { forceRefresh: true } }), todos)
  rmSync(account.file)
  t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos)
  t.match(todoApi.callers, [{ azp: podClientId, oid: pod.objectId }, { azp: podClientId }, { azp: podClientId }])
  t.match(app.tokenAcquirer.diagnostics(), [{ flow: 'managedIdentity', tenantId, clientId: podClientId }])
})
