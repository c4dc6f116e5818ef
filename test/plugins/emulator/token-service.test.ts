import t from 'tap'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { startEntraEmulator } from '../../../plugins/testing.ts'
import { apiClientId, clientId, registerDirectory, scope, secret, tenantId } from '../../fixtures/todo-api.ts'

type Form = Record<string, string>
const wellFormed: Form = { grant_type: 'client_credentials', client_id: clientId, client_secret: secret, scope }

async function start (t: Tap, options: Parameters<typeof startEntraEmulator>[0] = {}) {
  const entra = await startEntraEmulator(options)
  t.teardown(() => entra.close())
  const identities = registerDirectory(entra)
  const ask = async (form: Form, { tenant = tenantId, headers = {} }: { tenant?: string, headers?: Form } = {}) => {
    const response = await fetch(`${entra.instance}${tenant}/oauth2/v2.0/token`, { method: 'POST', body: new URLSearchParams(form), headers })
    return { status: response.status, body: await response.json() as Record<string, unknown>, headers: response.headers }
  }
  return { entra, identities, ask }
}
interface Tap { teardown (work: () => unknown): unknown }

t.test('a client with the right secret gets a signed v2.0 access token for the API, with its roles', async t => {
  const { entra, identities, ask } = await start(t)

  const { status, body } = await ask(wellFormed)

  t.match({ status, body }, { status: 200, body: { token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599, refresh_in: undefined } })
  const { payload } = await jwtVerify(String(body['access_token']), createRemoteJWKSet(new URL(entra.jwksUri(tenantId))), { issuer: entra.issuer(tenantId), audience: apiClientId })
  t.match(decodeProtectedHeader(String(body['access_token'])), { typ: 'JWT', alg: 'RS256', kid: String })
  t.match(payload, { azp: clientId, azpacr: '1', idtyp: 'app', oid: identities.client.objectId, sub: identities.client.objectId, tid: tenantId, roles: ['Todo.Read'], ver: '2.0', uti: String, aio: String, rh: String })
  t.equal(payload.exp! - payload.iat!, 3599)
})

t.test('every answer is another token, and tenants are compared without letter case', async t => {
  const { ask } = await start(t)
  const answers = [await ask(wellFormed), await ask(wellFormed, { tenant: tenantId.toUpperCase() })]
  t.equal(new Set(answers.map(({ body }) => body['access_token'])).size, 2)
})

t.test('the client may prove itself in the Authorization header', async t => {
  const { ask } = await start(t)
  const basic = (id: string, secret: string) => ({ headers: { authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}` } })
  const { client_id: _, client_secret: __, ...form } = wellFormed

  t.equal((await ask(form, basic(clientId, secret))).status, 200)
  t.match(await ask(form, basic(clientId, 'wrong')), { status: 401, body: { error_codes: [7000215] } })
  t.match(await ask(form, { headers: { authorization: 'Basic nocolon' } }), { status: 400, body: { error_codes: [900144] } })
})

t.test('a life of more than two hours comes with refresh_in of half of it, and both can be chosen', async t => {
  t.match(await (await start(t, { accessTokenLifetime: 86_400 })).ask(wellFormed), { body: { expires_in: 86_400, refresh_in: 43_200 } })
  t.match(await (await start(t, { accessTokenLifetime: 60, refreshIn: 30 })).ask(wellFormed), { body: { expires_in: 60, refresh_in: 30 } })
})

const refusals: [string, Form, number, string, number, object?][] = [
  ['a wrong secret', { client_secret: 'wrong' }, 401, 'invalid_client', 7000215],
  ['a missing secret', { client_secret: '' }, 401, 'invalid_client', 7000218],
  ['an unknown client', { client_id: '99999999-9999-4999-8999-999999999999' }, 400, 'unauthorized_client', 700016],
  ['a client of another tenant', {}, 400, 'invalid_request', 90002, { tenant: '88888888-8888-4888-8888-888888888888' }],
  ['a meta-tenant', {}, 400, 'invalid_request', 90002, { tenant: 'common' }],
  ['an unknown resource', { scope: 'api://unknown/.default' }, 400, 'invalid_resource', 500011],
  ['a scope that is not /.default', { scope: `api://${apiClientId}/Todo.Read` }, 400, 'invalid_scope', 1002012],
  ['two scopes', { scope: `${scope} https://graph.microsoft.com/.default` }, 400, 'invalid_scope', 1002012],
  ['a malformed scope', { scope: 'api://"x"/.default' }, 400, 'invalid_scope', 70011],
  ['a missing parameter', { scope: '' }, 400, 'invalid_request', 900144],
  ['another grant', { grant_type: 'password' }, 400, 'unsupported_grant_type', 70003],
  ['a grant that is a property of all objects', { grant_type: 'constructor' }, 400, 'unsupported_grant_type', 70003],
]
for (const [name, change, status, error, aadsts, options] of refusals) {
  t.test(`${name} is refused with AADSTS${aadsts}, in the shape of Entra ID`, async t => {
    const { ask } = await start(t)

    const refused = await ask({ ...wellFormed, ...change }, { ...options, headers: { 'client-request-id': 'c0ffee00-0000-4000-8000-000000000000' } })

    t.match(refused, { status, body: { error, error_codes: [aadsts], correlation_id: 'c0ffee00-0000-4000-8000-000000000000', trace_id: String, timestamp: /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/, error_description: new RegExp(`^AADSTS${aadsts}: .* Trace ID: .* Correlation ID: .* Timestamp: `) } })
  })
}

t.test('an expired secret is refused with AADSTS7000222', async t => {
  const { entra, ask } = await start(t, { now: () => Date.UTC(2026, 10, 24) })
  const other = '77777777-7777-4777-8777-777777777777'
  entra.registerApp({ clientId: other, tenantId, secrets: [{ value: 'old', expiresOn: new Date(Date.UTC(2026, 10, 23)) }, { value: 'new', expiresOn: new Date(Date.UTC(2026, 10, 25)) }] })

  t.match(await ask({ ...wellFormed, client_id: other, client_secret: 'old' }), { status: 401, body: { error_codes: [7000222] } })
  t.equal((await ask({ ...wellFormed, client_id: other, client_secret: 'new' })).status, 200)
})

t.test('a request without a form is refused, not an error', async t => {
  const { entra } = await start(t)
  const response = await fetch(`${entra.instance}${tenantId}/oauth2/v2.0/token`, { method: 'POST' })
  t.match([response.status, await response.json()], [400, { error_codes: [900144], correlation_id: String }])
  const empty = await fetch(`${entra.instance}${tenantId}/oauth2/v2.0/token`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' } })
  t.match([empty.status, await empty.json()], [400, { error_codes: [900144] }])
  for (const fields of [wellFormed, { ...wellFormed, client_secret: 7 }]) {
    const json = await fetch(`${entra.instance}${tenantId}/oauth2/v2.0/token`, { method: 'POST', body: JSON.stringify(fields), headers: { 'content-type': 'application/json' } })
    t.match([json.status, await json.json()], [400, { error_codes: [900144] }], 'JSON is no form')
  }
  t.equal((await fetch(`${entra.instance}${tenantId}/oauth2/v2.0/token`, { method: 'POST', body: 'x', headers: { 'content-type': 'image/png' } })).status, 415)
})

t.test('an API is known by its client id, its App ID URIs, and takes only roles that it has', async t => {
  const { entra, ask } = await start(t)
  const api = '66666666-6666-4666-8666-666666666666'
  entra.registerApp({ clientId: api, tenantId, exposes: { appIdUri: ['api://orders', 'https://orders.example/'], roles: ['Orders.Read'] } })
  entra.registerApp({ clientId: '77777777-7777-4777-8777-777777777770', tenantId, exposes: 'api://stock' })
  entra.registerApp({ clientId: '77777777-7777-4777-8777-777777777771', tenantId, exposes: ['api://a', 'api://b'] })
  const caller = '77777777-7777-4777-8777-777777777772'
  entra.registerApp({ clientId: caller, tenantId, secrets: ['s'], appRoleAssignments: { 'api://orders': ['Orders.Read', 'Orders.Delete'], [api]: [] } })

  for (const [resource, aud] of [[api, api], [`api://${api}`, api], ['api://ORDERS', api], ['https://orders.example/', api], ['api://stock', '77777777-7777-4777-8777-777777777770'], ['api://b', '77777777-7777-4777-8777-777777777771'], ['https://graph.microsoft.com', 'https://graph.microsoft.com'], ['https://vault.azure.net/', 'https://vault.azure.net']] as const) {
    const { body } = await ask({ ...wellFormed, client_id: caller, client_secret: 's', scope: `${resource}/.default` })
    const { payload } = await jwtVerify(String(body['access_token']), createRemoteJWKSet(new URL(entra.jwksUri(tenantId))))
    t.match(payload, { aud, roles: aud === api ? ['Orders.Read'] : undefined }, resource)
  }
})

t.test('an API that says nothing of roles takes any, and so do Microsoft\'s', async t => {
  const { entra, ask } = await start(t)
  const caller = '77777777-7777-4777-8777-777777777773'
  entra.registerApp({ clientId: '77777777-7777-4777-8777-777777777774', tenantId, exposes: 'api://stock' })
  entra.registerApp({ clientId: caller, tenantId, secrets: ['s'], appRoleAssignments: { 'api://stock': ['Stock.Read'], 'https://graph.microsoft.com': ['User.Read.All'] } })

  for (const [resource, roles] of [['api://stock', ['Stock.Read']], ['https://graph.microsoft.com', ['User.Read.All']]] as const) {
    const { body } = await ask({ ...wellFormed, client_id: caller, client_secret: 's', scope: `${resource}/.default` })
    t.strictSame(decodeJwt(String(body['access_token']))['roles'], roles)
  }
})

t.test('discovery tells where everything is', async t => {
  const { entra } = await start(t)
  const get = async (path: string) => (await fetch(entra.instance + path)).json() as Promise<Record<string, unknown>>

  t.match(await get(`${tenantId}/v2.0/.well-known/openid-configuration`), { issuer: entra.issuer(tenantId), jwks_uri: entra.jwksUri(tenantId), token_endpoint: `${entra.instance}${tenantId}/oauth2/v2.0/token` })
  t.match(await get('common/discovery/instance'), { metadata: [{ aliases: [new URL(entra.instance).host] }] })
  t.match(await get('88888888-8888-4888-8888-888888888888/v2.0/.well-known/openid-configuration'), { error_codes: [90002] })
  t.match(await get('88888888-8888-4888-8888-888888888888/discovery/v2.0/keys'), { error_codes: [90002] })
  t.match(await get('nowhere'), { statusCode: 404 })
  t.match(entra.requests.map(({ endpoint }) => endpoint), ['discovery', 'discovery', 'discovery', 'keys', 'unknown'])
})

t.test('after a key roll-over, tokens of both keys verify', async t => {
  const { entra, ask } = await start(t)
  const before = await ask(wellFormed)
  await entra.rotateKeys()
  const after = await ask(wellFormed)

  const keys = createRemoteJWKSet(new URL(entra.jwksUri(tenantId)))
  for (const { body } of [before, after]) t.ok(await jwtVerify(String(body['access_token']), keys))
  t.not(decodeProtectedHeader(String(before.body['access_token'])).kid, decodeProtectedHeader(String(after.body['access_token'])).kid)
})

t.test('fmi_path asks for a token of an identity below the client', async t => {
  const { ask } = await start(t)
  const subjectOf = async (form: Form) => decodeJwt(String((await ask({ ...wellFormed, ...form })).body['access_token'])).sub

  t.equal(await subjectOf({ fmi_path: 'agents/one' }), `/eid1/c/pub/t/${tenantId}/a/${clientId}/agents/one`)
  t.not(await subjectOf({ fmi_path: '' }), `/eid1/c/pub/t/${tenantId}/a/${clientId}/`)
})

t.test('what the client says it can do is in its token', async t => {
  const { ask } = await start(t)
  const capabilitiesOf = async (claims: string) => decodeJwt(String((await ask({ ...wellFormed, claims })).body['access_token']))['xms_cc']

  t.strictSame(await capabilitiesOf('{"access_token":{"xms_cc":{"values":["cp1"]}}}'), ['cp1'])
  for (const claims of ['', '{}', '{"access_token":null}', '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}', '{"access_token":{"xms_cc":null}}']) t.equal(await capabilitiesOf(claims), undefined)
  for (const claims of ['{', '1', 'null', '{"access_token":{"xms_cc":{"values":"cp1"}}}']) {
    t.match(await ask({ ...wellFormed, claims }), { status: 400, body: { error: 'invalid_request', error_codes: [9002313] } })
  }
})
