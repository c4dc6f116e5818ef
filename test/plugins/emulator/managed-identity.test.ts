import t from 'tap'
import { decodeJwt } from 'jose'
import { build } from '../../fixtures/build.ts'
import { useEnvironment } from '../../fixtures/environment.ts'
import { startEntraEmulator } from '../../../plugins/testing.ts'
import { apiClientId, registerDirectory, tenantId, userAssignedClientId } from '../../fixtures/todo-api.ts'

interface Tap { teardown (work: () => unknown): unknown }
type Fields = Record<string, string | undefined>
const resource = `api://${apiClientId}`

async function start (t: Tap, options: Parameters<typeof startEntraEmulator>[0] = {}) {
  const entra = await startEntraEmulator(options)
  t.teardown(() => entra.close())
  const get = async (url: string, query: Fields, headers: Fields) => {
    const present = (fields: Fields) => Object.fromEntries(Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined))
    const response = await fetch(`${url}?${new URLSearchParams(present(query)).toString()}`, { headers: present(headers) })
    return { status: response.status, body: await response.json() as Record<string, string> }
  }
  return {
    entra,
    identities: registerDirectory(entra),
    appService: (query: Fields = {}, headers: Fields = {}) => get(entra.envOf('app-service')['IDENTITY_ENDPOINT']!, { 'api-version': '2019-08-01', resource, ...query }, { 'X-IDENTITY-HEADER': entra.envOf('app-service')['IDENTITY_HEADER'], ...headers }),
    imds: (query: Fields = {}, headers: Fields = {}, slash = '') => get(`${entra.envOf('imds')['AZURE_POD_IDENTITY_AUTHORITY_HOST']}/metadata/identity/oauth2/token${slash}`, { 'api-version': '2018-02-01', resource, ...query }, { Metadata: 'true', ...headers }),
  }
}

t.test('App Service gives a token for the system-assigned identity, and echoes the resource', async t => {
  const { appService, identities: { systemAssigned } } = await start(t, { now: () => 1_800_000_000_000 })

  const { status, body } = await appService()

  t.match({ status, body }, { status: 200, body: { expires_on: String(1_800_000_000 + 86_399), resource, token_type: 'Bearer', client_id: systemAssigned.clientId } })
  t.match(decodeJwt(body['access_token']!), { aud: apiClientId, azp: systemAssigned.clientId, azpacr: '2', oid: systemAssigned.objectId, tid: tenantId, roles: ['Todo.Read'], xms_mirid: undefined })
})

t.test('IMDS gives the same with its own fields, with and without a slash at the end', async t => {
  const { imds, identities: { systemAssigned } } = await start(t, { accessTokenLifetime: 3600, now: () => 1_800_000_000_000 })
  for (const slash of ['', '/']) {
    t.match(await imds({}, {}, slash), { status: 200, body: { expires_in: '3600', expires_on: '1800003600', ext_expires_in: '3600', not_before: '1800000000', resource, token_type: 'Bearer', client_id: systemAssigned.clientId } })
  }
})

t.test('a user-assigned identity is selected by each of its ids', async t => {
  const { appService, imds, identities: { userAssigned } } = await start(t)
  for (const [ask, resourceParameter] of [[appService, 'mi_res_id'], [imds, 'msi_res_id']] as const) {
    for (const query of [{ client_id: userAssigned.clientId }, { object_id: userAssigned.objectId }, { [resourceParameter]: userAssigned.resourceId }]) {
      const { body } = await ask(query)
      t.match(decodeJwt(body['access_token']!), { azp: userAssignedClientId, oid: userAssigned.objectId, xms_mirid: userAssigned.resourceId })
    }
  }
})

t.test('what App Service would refuse is refused, in its shape', async t => {
  const { appService } = await start(t)
  for (const [query, headers, status, message] of [
    [{}, { 'X-IDENTITY-HEADER': undefined }, 401, /X-IDENTITY-HEADER/],
    [{}, { 'X-IDENTITY-HEADER': 'guessed' }, 401, /X-IDENTITY-HEADER/],
    [{ 'api-version': '2017-09-01' }, {}, 400, /api-version/],
    [{ resource: undefined }, {}, 400, /resource/],
    [{ resource: 'api://unknown' }, {}, 400, /AADSTS500011/],
    [{ client_id: 'unknown' }, {}, 400, /Identity not found/],
    [{ client_id: userAssignedClientId, object_id: 'x' }, {}, 400, /At most one/],
  ] as const) {
    t.match(await appService(query, headers), { status, body: { statusCode: status, message } })
  }
})

t.test('what IMDS would refuse is refused, in its shape', async t => {
  const { imds } = await start(t)
  for (const [query, headers, error] of [
    [{}, { Metadata: undefined }, 'invalid_request'],
    [{}, { 'X-Forwarded-For': '10.0.0.1' }, 'invalid_request'],
    [{ 'api-version': undefined }, {}, 'bad_request_102'],
    [{ 'api-version': '2017-01-01' }, {}, 'bad_request_102'],
    [{ resource: '' }, {}, 'invalid_request'],
    [{ resource: 'api://unknown' }, {}, 'invalid_resource'],
    [{ object_id: 'unknown' }, {}, 'invalid_request'],
  ] as const) {
    t.match(await imds(query, headers), { status: 400, body: { error, error_description: String } })
  }
})

t.test('an identity may be served by one endpoint only, and without a tenant is in that of the first registration', async t => {
  const { entra, appService, imds } = await start(t)
  const identity = entra.registerManagedIdentity({ clientId: '99999999-9999-4999-8999-999999999999', source: 'imds' })

  t.equal((await imds({ client_id: identity.clientId })).status, 200)
  t.equal((await appService({ client_id: identity.clientId })).status, 400)
  t.equal(identity.tenantId, tenantId)
})

t.test('env is of the source that the registrations name, else of App Service', async t => {
  const { entra } = await start(t)
  t.strictSame(Object.keys(entra.env), ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER'])
  t.equal(entra.env, entra.envOf('app-service'))

  entra.registerManagedIdentity({ source: 'imds' })
  t.strictSame(Object.keys(entra.env), ['AZURE_POD_IDENTITY_AUTHORITY_HOST'])
  t.equal(entra.env, entra.envOf('imds'))
  entra.registerManagedIdentity({ clientId: '99999999-9999-4999-8999-999999999999' })
  t.equal(entra.env, entra.envOf('imds'), 'an identity that names none is served there too')
  entra.registerManagedIdentity({ clientId: '99999999-9999-4999-8999-999999999990', source: 'app-service' })
  t.equal(entra.env, entra.envOf('app-service'))
})

t.test('with the variables of IMDS, the plugin\'s managed identity is that of a virtual machine', async t => {
  const entra = await startEntraEmulator()
  t.teardown(() => entra.close())
  const { clientId } = entra.registerManagedIdentity({ source: 'imds' })
  useEnvironment(t, entra.env)
  const app = await build(t, { config: {} })

  const header = await app.authorizationHeaderProvider.createAuthorizationHeaderForApp('https://vault.azure.net/.default', { acquireTokenOptions: { managedIdentity: {} } })

  t.match(decodeJwt(header.slice('Bearer '.length)), { azp: clientId, aud: 'https://vault.azure.net' })
  t.match(entra.requests, [{ path: /^\/metadata\/identity\/oauth2\/token/, status: 200 }])
})

t.test('an identity without a resource id is not found by one', async t => {
  const { entra, imds } = await start(t)
  entra.registerManagedIdentity({ clientId: '99999999-9999-4999-8999-999999999999' })
  t.equal((await imds({ msi_res_id: '/subscriptions/none' })).status, 400)
})

t.test('without any registration there is a tenant all the same, and no identity is found where none is registered', async t => {
  const entra = await startEntraEmulator()
  t.teardown(() => entra.close())
  const first = entra.registerManagedIdentity({ resourceId: '/subscriptions/1' })
  t.equal(entra.registerManagedIdentity().tenantId, first.tenantId)
})
