import t from 'tap'
import type { ManagedIdentityOptions } from '../../../lib/configuration/schema.ts'
import { workloadIdentity } from '../../../lib/tokens/workload-identity.ts'

const pod = { AZURE_CLIENT_ID: 'the-pod', AZURE_TENANT_ID: 'Contoso', AZURE_FEDERATED_TOKEN_FILE: '/var/run/secrets/azure/tokens/azure-identity-token' }
const read = (environment: Record<string, string>, identity: ManagedIdentityOptions = {}, known: string[] = []) => workloadIdentity(identity, environment, known)

t.test('the variables of a pod say who it is, where it proves itself, and where its token is', async t => {
  t.strictSame(read(pod), {
    authority: { instance: 'https://login.microsoftonline.com/', tenantId: 'contoso', policy: undefined, clientId: 'the-pod', tokenEndpoint: 'https://login.microsoftonline.com/contoso/oauth2/v2.0/token', isDiscovered: false, region: undefined },
    tokenFile: pod.AZURE_FEDERATED_TOKEN_FILE,
  })
  t.match(read({ ...pod, AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.us' }), { authority: { instance: 'https://login.microsoftonline.us/', tokenEndpoint: 'https://login.microsoftonline.us/contoso/oauth2/v2.0/token' } })
  t.match(read(pod, { userAssignedClientId: 'another' }), { authority: { clientId: 'another' } })
})

t.test('where a variable is missing, or an endpoint is there, it is no workload identity', async t => {
  for (const name of Object.keys(pod)) t.equal(read({ ...pod, [name]: '' }), undefined, name)
  for (const endpoint of [
    { IDENTITY_ENDPOINT: 'http://127.0.0.1/', IDENTITY_HEADER: 'h' }, { IDENTITY_ENDPOINT: 'http://127.0.0.1/', IMDS_ENDPOINT: 'http://127.0.0.1/' },
    { MSI_ENDPOINT: 'http://127.0.0.1/' }, { MSI_ENDPOINT: 'http://127.0.0.1/', MSI_SECRET: 's' }, { AZURE_POD_IDENTITY_AUTHORITY_HOST: 'http://169.254.169.254' },
  ]) t.equal(read({ ...pod, ...endpoint } as unknown as Record<string, string>), undefined, JSON.stringify(endpoint))
})

t.test('the token is given to an authority alone', async t => {
  const at = (AZURE_AUTHORITY_HOST: string, known?: string[]) => () => read({ ...pod, AZURE_AUTHORITY_HOST }, {}, known)
  for (const host of ['https://evil.example/', 'http://login.microsoftonline.com/', 'https://login.microsoftonline.com.evil.example', 'login.microsoftonline.com', 'https://user@login.microsoftonline.com/', 'https://login.microsoftonline.com/contoso']) {
    t.throws(at(host), { code: 'FST_IDW_CONFIG_INVALID', message: /the environment variable AZURE_AUTHORITY_HOST: / }, host)
  }
  t.match(at('https://login.private.example/', ['login.private.example'])(), { authority: { instance: 'https://login.private.example/' } })
  t.match(at('http://localhost:3000')(), { authority: { instance: 'http://localhost:3000/' } })
})

t.test('all faults are told at once: an id that cannot select, and variables that are none', async t => {
  const faults = [
    'acquireTokenOptions.managedIdentity.userAssignedObjectId: Workload Identity cannot select an identity by it; use userAssignedClientId',
    /AZURE_AUTHORITY_HOST/, /AZURE_TENANT_ID: expected the id or the domain name of a tenant/, /AZURE_CLIENT_ID: expected a client id/,
  ]
  t.throws(() => read({ ...pod, AZURE_TENANT_ID: '../evil', AZURE_CLIENT_ID: 'a b', AZURE_AUTHORITY_HOST: 'x' }, { userAssignedObjectId: 'o' }), { code: 'FST_IDW_CONFIG_INVALID', faults } as never)
  t.throws(() => read(pod, { userAssignedResourceId: 'r' }), { message: /userAssignedResourceId: Workload Identity cannot select/ })
})
