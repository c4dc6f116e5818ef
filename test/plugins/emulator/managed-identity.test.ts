import t from 'tap'
import { X509Certificate } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { decodeJwt } from 'jose'
import { Agent, fetch } from 'undici'
import { build } from '../../fixtures/build.ts'
import { selfSigned } from '../../fixtures/certificate.ts'
import { useEnvironment } from '../../fixtures/environment.ts'
import { startEntraEmulator } from '../../../plugins/testing.ts'
import { apiClientId, registerDirectory, tenantId, userAssignedClientId } from '../../fixtures/todo-api.ts'

interface Tap { teardown (work: () => unknown): unknown }
type Fields = Record<string, string | undefined>
const resource = `api://${apiClientId}`

async function start (t: Tap, options: Parameters<typeof startEntraEmulator>[0] = {}) {
  const entra = await startEntraEmulator(options)
  t.teardown(() => entra.close())
  return {
    entra,
    identities: registerDirectory(entra),
    appService: (query: Fields = {}, headers: Fields = {}) => asked(entra.envOf('app-service')['IDENTITY_ENDPOINT']!, { query: { 'api-version': '2019-08-01', resource, ...query }, headers: { 'X-IDENTITY-HEADER': entra.envOf('app-service')['IDENTITY_HEADER'], ...headers } }),
    imds: (query: Fields = {}, headers: Fields = {}, slash = '') => asked(`${entra.envOf('imds')['AZURE_POD_IDENTITY_AUTHORITY_HOST']}/metadata/identity/oauth2/token${slash}`, { query: { 'api-version': '2018-02-01', resource, ...query }, headers: { Metadata: 'true', ...headers } }),
  }
}

/** What an endpoint answers; fields that are undefined are not sent. */
async function asked (url: string, { query = {}, form, headers = {}, dispatcher }: { query?: Fields, form?: Fields, headers?: Fields, dispatcher?: Agent }) {
  const present = (fields: Fields) => Object.fromEntries(Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined))
  const response = await fetch(`${url}?${new URLSearchParams(present(query)).toString()}`, { headers: present(headers), ...form && { method: 'POST', body: new URLSearchParams(present(form)) }, ...dispatcher && { dispatcher } })
  return { status: response.status, challenge: response.headers.get('www-authenticate'), body: await response.json() as Record<string, unknown> & { access_token: string } }
}

t.test('App Service gives a token for the system-assigned identity, and echoes the resource', async t => {
  const { appService, identities: { systemAssigned } } = await start(t, { now: () => 1_800_000_000_000 })

  const { status, body } = await appService()

  t.match({ status, body }, { status: 200, body: { expires_on: String(1_800_000_000 + 86_399), resource, token_type: 'Bearer', client_id: systemAssigned.clientId } })
  t.match(decodeJwt(body.access_token), { aud: apiClientId, azp: systemAssigned.clientId, azpacr: '2', oid: systemAssigned.objectId, tid: tenantId, roles: ['Todo.Read'], xms_mirid: undefined })
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
      t.match(decodeJwt(body.access_token), { azp: userAssignedClientId, oid: userAssigned.objectId, xms_mirid: userAssigned.resourceId })
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
  t.strictSame(entra.env, entra.envOf('app-service'))

  entra.registerManagedIdentity({ source: 'imds' })
  t.strictSame(Object.keys(entra.env), ['AZURE_POD_IDENTITY_AUTHORITY_HOST'])
  t.strictSame(entra.env, entra.envOf('imds'))
  entra.registerManagedIdentity({ clientId: '99999999-9999-4999-8999-999999999999' })
  t.strictSame(entra.env, entra.envOf('imds'), 'an identity that names none is served there too')
  entra.registerManagedIdentity({ clientId: '99999999-9999-4999-8999-999999999990', source: 'app-service' })
  t.strictSame(entra.env, entra.envOf('app-service'))
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

t.test('Azure Arc wants the content of the file that its challenge names, and confirms who was asked for', async t => {
  const arcKeyFolder = join(t.testdir({}), 'azcmagent', 'tokens')
  const { entra, identities: { systemAssigned, userAssigned } } = await start(t, { arcKeyFolder, now: () => 1_800_000_000_000 })
  const { IDENTITY_ENDPOINT, IMDS_ENDPOINT, ...others } = entra.envOf('azure-arc')
  t.strictSame(others, {})
  t.match(IMDS_ENDPOINT, /^http:\/\/127\.0\.0\.1:\d+\/azure-arc$/)
  const ask = (query: Fields = {}, headers: Fields = {}) => asked(IDENTITY_ENDPOINT!, { query: { 'api-version': '2020-06-01', resource, ...query }, headers: { Metadata: 'true', ...headers } })

  const { status, challenge, body: refused } = await ask()
  t.match({ status, refused }, { status: 401, refused: { error: 'unauthorized', error_description: /Authorization/ } })
  const file = /^Basic realm=(.+\.key)$/.exec(challenge!)![1]!
  t.equal(dirname(file), arcKeyFolder)
  const authorization = `Basic ${readFileSync(file, 'utf8')}`
  t.equal((await ask({}, { authorization: 'Basic guessed' })).challenge, challenge)

  const { body } = await ask({}, { authorization })
  t.match(body, { expires_in: '86399', expires_on: '1800086399', not_before: '1800000000', resource, token_type: 'Bearer', client_id: undefined })
  t.match(decodeJwt(body.access_token), { oid: systemAssigned.objectId })
  const ids = { client_id: userAssigned.clientId, object_id: userAssigned.objectId, msi_res_id: userAssigned.resourceId }
  for (const [name, id] of Object.entries(ids)) t.match((await ask({ [name]: id }, { authorization })).body, ids)
  const plain = entra.registerManagedIdentity({ clientId: '99999999-9999-4999-8999-999999999999' })
  t.match((await ask({ client_id: plain.clientId }, { authorization })).body, { client_id: plain.clientId, msi_res_id: undefined })

  for (const [query, headers, error] of [
    [{}, { Metadata: undefined }, 'invalid_request'],
    [{ 'api-version': '2018-02-01' }, {}, 'bad_request_102'],
    [{ mi_res_id: userAssigned.resourceId }, { authorization }, 'invalid_request'],
    [{ client_id: 'unknown' }, { authorization }, 'invalid_request'],
    [{ resource: 'api://unknown' }, { authorization }, 'invalid_resource'],
  ] as const) {
    t.match(await ask(query, headers), { status: 400, challenge: null, body: { error, error_description: String } })
  }
  entra.fail({ status: 401 })
  t.equal((await ask({}, { authorization })).challenge, challenge, 'a fault is of its shape')

  t.notMatch(JSON.stringify(entra.requests), readFileSync(file, 'utf8'))
  await entra.close()
  t.notOk(existsSync(dirname(arcKeyFolder)), 'nothing is left behind')
})

t.test('the key of Azure Arc is written when it is needed, and removed with nothing else', async t => {
  const folder = t.testdir({ tokens: {} })
  for (const arcKeyFolder of [join(folder, 'tokens'), join(folder, 'made', 'for', 'it')]) {
    const { entra } = await start(t, { arcKeyFolder })
    t.notOk(existsSync(join(folder, 'made')))
    t.strictSame(readdirSync(join(folder, 'tokens')), [])

    t.strictSame(entra.envOf('azure-arc'), entra.envOf('azure-arc'))
    t.match(readdirSync(arcKeyFolder), [/\.key$/])
    writeFileSync(join(dirname(arcKeyFolder), 'other'), '')
    await entra.close()

    t.notOk(existsSync(join(arcKeyFolder)) && readdirSync(arcKeyFolder).length > 0)
    t.ok(existsSync(join(dirname(arcKeyFolder), 'other')))
  }
})

t.test('where the key of Azure Arc cannot be written, that is said', async t => {
  const { entra } = await start(t, { arcKeyFolder: join(t.testdir({ file: '' }), 'file') })
  const message = /key of Azure Arc cannot be written to .*file: let this process write there/

  t.throws(() => entra.envOf('azure-arc'), { message, cause: Error })
  entra.registerManagedIdentity({ source: 'azure-arc' })
  t.throws(() => entra.env, { message })
  t.match(await asked(`${entra.instance}azure-arc/metadata/identity/oauth2/token`, { query: { 'api-version': '2020-06-01', resource }, headers: { Metadata: 'true' } }), { status: 500, body: { message } })
})

t.test('Cloud Shell takes a form, and gives the identity of the shell only', async t => {
  const { entra, identities: { systemAssigned } } = await start(t, { now: () => 1_800_000_000_000 })
  const { MSI_ENDPOINT, ...others } = entra.envOf('cloud-shell')
  t.strictSame(others, {})
  const ask = (form: Fields = {}, headers: Fields = {}) => asked(MSI_ENDPOINT!, { form: { resource, ...form }, headers: { Metadata: 'true', ...headers } })

  const { body } = await ask()

  t.match(body, { expires_in: '86399', expires_on: '1800086399', not_before: '1800000000', refresh_token: '', resource, token_type: 'Bearer' })
  t.match(decodeJwt(body.access_token), { oid: systemAssigned.objectId })
  for (const [form, headers, code, message] of [
    [{}, { Metadata: undefined }, 'BadRequest', /metadata header/],
    [{ resource: 'api://unknown' }, {}, 'AudienceNotSupported', /^Audience api:\/\/unknown is not/],
    [{ resource: undefined }, {}, 'invalid_request', /resource/],
    [{ client_id: userAssignedClientId }, {}, 'invalid_request', /client_id does not select an identity here; nothing does/],
  ] as const) {
    t.match(await ask(form, headers), { status: 400, body: { error: { code, message } } })
  }
  t.equal((await fetch(MSI_ENDPOINT!, { headers: { Metadata: 'true' } })).status, 404, 'only POST')
  t.match((await asked(MSI_ENDPOINT!, { query: { resource }, headers: { Metadata: 'true' }, form: {} })).status, 200)
})

t.test('Service Fabric is https, known by its certificate, and knows the process by its secret', async t => {
  const { key, cert } = await selfSigned()
  const dispatcher = new Agent({ connect: { ca: cert } })
  t.teardown(() => dispatcher.close())
  const { entra, identities: { systemAssigned } } = await start(t, { serviceFabric: { key, cert }, now: () => 1_800_000_000_000 })
  const { IDENTITY_ENDPOINT, IDENTITY_HEADER, IDENTITY_SERVER_THUMBPRINT } = entra.envOf('service-fabric')
  t.match(IDENTITY_ENDPOINT, /^https:\/\/127\.0\.0\.1:/)
  t.equal(IDENTITY_SERVER_THUMBPRINT, new X509Certificate(cert).fingerprint.replaceAll(':', ''))
  const ask = (query: Fields = {}, headers: Fields = {}) => asked(IDENTITY_ENDPOINT!, { dispatcher, query: { 'api-version': '2019-07-01-preview', resource, ...query }, headers: { secret: IDENTITY_HEADER, ...headers } })

  const { body } = await ask()

  t.match(body, { expires_on: 1_800_086_399, resource, token_type: 'Bearer' })
  t.match(decodeJwt(body.access_token), { oid: systemAssigned.objectId })
  for (const [query, headers, status, code] of [
    [{}, { secret: undefined }, 400, 'SecretHeaderNotFound'],
    [{}, { secret: 'guessed' }, 404, 'ManagedIdentityNotFound'],
    [{ 'api-version': undefined }, {}, 400, 'InvalidApiVersion'],
    [{ 'api-version': '2019-08-01' }, {}, 400, 'InvalidApiVersion'],
    [{ resource: undefined }, {}, 400, 'ArgumentNullOrEmpty'],
    [{ resource: 'api://unknown' }, {}, 400, 'invalid_resource'],
    [{ client_id: userAssignedClientId }, {}, 400, 'invalid_request'],
  ] as const) {
    t.match(await ask(query, headers), { status, body: { error: { correlationId: String, code, message: String } } })
  }
  t.match(entra.requests[0], { endpoint: 'managed-identity', headers: { secret: '***' }, status: 200 })
  entra.fail({ endpoint: 'managed-identity', status: 429 })
  t.match(await ask(), { status: 429, body: { error: { code: 'temporarily_unavailable' } } })
  await entra.close()
  await t.rejects(ask(), 'it is closed with the emulator')
})

t.test('Service Fabric without an identity answers as Service Fabric, and without a certificate is not there', async t => {
  const { key, cert } = await selfSigned()
  const dispatcher = new Agent({ connect: { ca: cert } })
  t.teardown(() => dispatcher.close())
  const entra = await startEntraEmulator({ serviceFabric: { key, cert }, host: 'localhost' })
  t.teardown(() => entra.close())
  const { IDENTITY_ENDPOINT, IDENTITY_HEADER } = entra.envOf('service-fabric')
  t.match(IDENTITY_ENDPOINT, /^https:\/\/localhost:/)
  t.match(await asked(IDENTITY_ENDPOINT!, { dispatcher, query: { 'api-version': '2019-07-01-preview', resource }, headers: { secret: IDENTITY_HEADER } }), { status: 404, body: { error: { code: 'ManagedIdentityNotFound' } } })

  const { entra: without } = await start(t)
  t.throws(() => without.envOf('service-fabric'), { name: 'TypeError', message: /serviceFabric: \{ key, cert \}/ })
  await t.rejects(startEntraEmulator({ serviceFabric: { key } as never }), { name: 'TypeError', message: /startEntraEmulator: serviceFabric\.cert/ })
})

t.test('Machine Learning selects by client id, also the system-assigned identity', async t => {
  const { entra, identities: { systemAssigned, userAssigned } } = await start(t, { now: () => 1_800_000_000_000 })
  const { MSI_ENDPOINT, MSI_SECRET, DEFAULT_IDENTITY_CLIENT_ID } = entra.envOf('machine-learning')
  const ask = (query: Fields = {}, headers: Fields = {}) => asked(MSI_ENDPOINT!, { query: { 'api-version': '2017-09-01', resource, clientid: DEFAULT_IDENTITY_CLIENT_ID, ...query }, headers: { secret: MSI_SECRET, ...headers } })

  const { body } = await ask()

  t.match(body, { expires_on: 1_800_086_399, resource, token_type: 'Bearer' })
  t.match(decodeJwt(body.access_token), { oid: systemAssigned.objectId })
  t.match(decodeJwt((await ask({ clientid: userAssigned.clientId })).body.access_token), { oid: userAssigned.objectId })
  for (const [query, headers, status, message] of [
    [{}, { secret: undefined }, 401, /secret/],
    [{}, { secret: 'guessed' }, 401, /secret/],
    [{ 'api-version': '2019-08-01' }, {}, 400, /api-version/],
    [{ clientid: undefined }, {}, 400, /clientid is missing/],
    [{ clientid: 'unknown' }, {}, 400, /Identity not found/],
    [{ object_id: userAssigned.objectId }, {}, 400, /object_id does not select an identity here; clientid does/],
    [{ resource: undefined }, {}, 400, /resource/],
    [{ resource: 'api://unknown' }, {}, 400, /AADSTS500011/],
  ] as const) {
    t.match(await ask(query, headers), { status, body: { statusCode: status, message } })
  }

  const without = await startEntraEmulator()
  t.teardown(() => without.close())
  t.strictSame(Object.keys(without.envOf('machine-learning')), ['MSI_ENDPOINT', 'MSI_SECRET'])
})
