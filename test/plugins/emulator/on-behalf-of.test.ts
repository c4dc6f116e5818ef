import t from 'tap'
import { InteractionRequiredAuthError } from '@azure/msal-node'
import { createRemoteJWKSet, decodeJwt, generateKeyPair, jwtVerify, SignJWT, UnsecuredJWT } from 'jose'
import type { EntraEmulator, UserTokenOptions } from '../../../plugins/testing.ts'
import { msalClientOf } from '../../fixtures/msal-client.ts'
import { apiClientId, clientId, secret, tenantId } from '../../fixtures/todo-api.ts'
import { orders, ordersClientId, otherTenantId, startUserWorld, type Answer } from '../../fixtures/users.ts'

const objectId = '77777777-7777-4777-8777-777777777777'
const accessTokenOf = ({ body }: Answer) => decodeJwt(String(body['access_token']))

t.test('the token of a user is exchanged for one of the same user for the next API', async t => {
  const { entra, exchange } = await startUserWorld(t)
  const assertion = await entra.issueUserToken({ objectId, name: 'Ada', preferredUsername: 'ada@contoso.com', amr: ['pwd', 'mfa'], acrs: ['c1'] })

  const { status, body } = await exchange(assertion)

  t.match({ status, body }, { status: 200, body: { token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599, scope: `${orders}/Orders.Read ${orders}/Orders.Write ${orders}/.default` } })
  const { payload } = await jwtVerify(String(body['access_token']), createRemoteJWKSet(new URL(entra.jwksUri(tenantId))), { issuer: entra.issuer(tenantId), audience: ordersClientId })
  t.match(payload, { azp: clientId, azpacr: '1', oid: objectId, name: 'Ada', preferred_username: 'ada@contoso.com', tid: tenantId, scp: 'Orders.Read Orders.Write', amr: ['pwd', 'mfa'], acrs: ['c1'], idtyp: 'user', ver: '2.0' })
  t.not(payload.sub, decodeJwt(assertion).sub, 'the subject is pairwise')
  t.strictSame(['refresh_token', 'id_token', 'client_info'].filter(name => name in body), [])
})

t.test('so is one of version 1.0', async t => {
  const { entra, exchange } = await startUserWorld(t)
  const answer = await exchange(await entra.issueUserToken({ version: '1.0', objectId, preferredUsername: 'ada@contoso.com' }))
  t.match(accessTokenOf(answer), { oid: objectId, preferred_username: 'ada@contoso.com', ver: '2.0' })
})

t.test('the chain goes on: the API of orders exchanges what it was called with', async t => {
  const { entra, exchange } = await startUserWorld(t)
  entra.registerApp({ clientId: apiClientId, tenantId, secrets: ['s'], exposes: 'api://middle' })
  const first = await exchange(await entra.issueUserToken({ objectId }), { scope: 'api://middle/.default' })
  const second = await exchange(String(first.body['access_token']), { client_id: apiClientId, client_secret: 's' })
  t.match(accessTokenOf(second), { aud: ordersClientId, azp: apiClientId, oid: objectId })
})

t.test('what the client asks for beside the API is given', async t => {
  const { entra, exchange } = await startUserWorld(t)
  const assertion = await entra.issueUserToken({ objectId })

  const { body } = await exchange(assertion, { scope: `${orders}/.default openid profile offline_access`, client_info: '1', claims: '{"access_token":{"xms_cc":{"values":["cp1"]}}}' })

  t.match(body, { refresh_token: String, id_token: String, client_info: Buffer.from(JSON.stringify({ uid: objectId, utid: tenantId })).toString('base64url') })
  t.match(accessTokenOf({ status: 200, body }), { xms_cc: ['cp1'] })
  t.match(decodeJwt(String(body['id_token'])), { aud: clientId, oid: objectId })
  t.match((await exchange(assertion, { scope: `openid ${orders}/.default` })).body, { id_token: String, refresh_token: undefined, client_info: undefined })
  t.match((await exchange(assertion, { client_info: '1' })).body, { id_token: String, refresh_token: undefined, client_info: String })
})

t.test('scopes of one API are given as far as they are asked for', async t => {
  const { entra, exchange } = await startUserWorld(t)
  const assertion = await entra.issueUserToken()
  for (const [scope, scp, granted, aud] of [
    [`${orders}/Orders.Read`, 'Orders.Read', `${orders}/Orders.Read`, ordersClientId],
    [`${ordersClientId}/Orders.Read ${orders}/Orders.Write`, 'Orders.Read Orders.Write', `${ordersClientId}/Orders.Read ${ordersClientId}/Orders.Write`, ordersClientId],
    ['https://graph.microsoft.com/Mail.Read', 'Mail.Read', 'https://graph.microsoft.com/Mail.Read', 'https://graph.microsoft.com'],
    ['User.Read', 'User.Read', 'https://graph.microsoft.com/User.Read', 'https://graph.microsoft.com'],
    ['https://vault.azure.net/.default', 'user_impersonation', 'https://vault.azure.net/user_impersonation https://vault.azure.net/.default', 'https://vault.azure.net'],
  ] as const) {
    const answer = await exchange(assertion, { scope })
    t.match(answer, { status: 200, body: { scope: granted } }, scope)
    t.match(accessTokenOf(answer), { scp, aud }, scope)
  }
})

const scopesRefused: [string, string, number, string, number][] = [
  ['an unknown API', 'api://unknown/.default', 400, 'invalid_resource', 500011],
  ['a scope that the API has not', `${orders}/Orders.Delete`, 400, 'invalid_scope', 70011],
  ['no API at all', 'openid profile', 400, 'invalid_scope', 70011],
  ['/.default beside another scope', `${orders}/.default ${orders}/Orders.Read`, 400, 'invalid_scope', 70011],
  ['two APIs', `${orders}/.default https://graph.microsoft.com/.default`, 400, 'invalid_request', 28000],
  ['a malformed scope', 'api://"x"/.default', 400, 'invalid_scope', 70011],
  ['no scope', '', 400, 'invalid_request', 900144],
]
for (const [name, scope, status, error, aadsts] of scopesRefused) {
  t.test(`a request for ${name} is refused with AADSTS${aadsts}`, async t => {
    const { entra, exchange } = await startUserWorld(t)
    t.match(await exchange(await entra.issueUserToken(), { scope }), { status, body: { error, error_codes: [aadsts] } })
  })
}

const assertionsRefused: [string, UserTokenOptions | ((entra: EntraEmulator) => Promise<string> | string), string, number][] = [
  ['that has expired', { lifetime: -1 }, 'invalid_grant', 500133],
  ['that never expires', { claims: { exp: undefined } }, 'invalid_grant', 500133],
  ['that is not valid yet', { claims: { nbf: Math.floor(Date.now() / 1000) + 60 } }, 'invalid_grant', 500133],
  ['for another API', { audience: orders }, 'invalid_grant', 500131],
  ['of an app', { scopes: [], claims: { idtyp: 'app', roles: ['Todo.Read'] } }, 'invalid_grant', 7000114],
  ['without scopes', { scopes: [] }, 'invalid_request', 240002],
  ['that is an ID token', entra => entra.issueIdToken({ clientId }), 'invalid_request', 240002],
  ['that does not say whose it is', { claims: { oid: undefined } }, 'invalid_grant', 50013],
  ['whose issuer is not its tenant\'s', { claims: { iss: 'https://evil.example/' } }, 'invalid_grant', 50013],
  ['of a tenant that the app is not registered in', { tenantId: otherTenantId }, 'invalid_grant', 50020],
  ['that was changed', async entra => {
    const [header, claims, signature] = (await entra.issueUserToken()).split('.') as [string, string, string]
    return [header, Buffer.from(JSON.stringify({ ...decodeJwt(`${header}.${claims}.${signature}`), oid: objectId })).toString('base64url'), signature].join('.')
  }, 'invalid_grant', 50013],
  ['of another key', async entra => new SignJWT(decodeJwt(await entra.issueUserToken())).setProtectedHeader({ alg: 'RS256' }).sign((await generateKeyPair('RS256')).privateKey), 'invalid_grant', 50013],
  ['signed with what is public as a secret', async entra => new SignJWT(decodeJwt(await entra.issueUserToken())).setProtectedHeader({ alg: 'HS256' }).sign(new Uint8Array(32)), 'invalid_grant', 50013],
  ['without a signature', async entra => new UnsecuredJWT(decodeJwt(await entra.issueUserToken())).encode(), 'invalid_grant', 50013],
  ['that is no JWT', () => 'not a token', 'invalid_request', 50027],
  ['that is missing', () => '', 'invalid_request', 900144],
]
for (const [name, assertion, error, aadsts] of assertionsRefused) {
  t.test(`an assertion ${name} is refused with AADSTS${aadsts}`, async t => {
    const { entra, exchange } = await startUserWorld(t)
    const text = typeof assertion === 'function' ? await assertion(entra) : await entra.issueUserToken(assertion)

    t.match(await exchange(text), { status: 400, body: { error, error_codes: [aadsts], error_description: new RegExp(`^AADSTS${aadsts}: `), suberror: undefined, claims: undefined, trace_id: String, correlation_id: String, timestamp: String } })
    t.match(entra.tokenRequests, [{ user: undefined }])
  })
}

t.test('the token of an app, as the token endpoint gives it, is refused with AADSTS7000114', async t => {
  const { ask, exchange } = await startUserWorld(t)
  const { body } = await ask({ grant_type: 'client_credentials', scope: 'api://todo/.default' })
  t.match(await exchange(String(body['access_token'])), { status: 400, body: { error: 'invalid_grant', error_codes: [7000114] } })
})

t.test('the client must prove itself, and say that it asks on behalf of the user', async t => {
  const { entra, exchange } = await startUserWorld(t)
  const assertion = await entra.issueUserToken()
  t.match(await exchange(assertion, { client_secret: 'wrong' }), { status: 401, body: { error: 'invalid_client', error_codes: [7000215] } })
  t.match(await exchange(assertion, { requested_token_use: undefined }), { status: 400, body: { error_codes: [900144] } })
  t.match(await exchange(assertion, { requested_token_use: 'something' }), { status: 400, body: { error: 'invalid_request', error_codes: [9002313] } })
  t.match(await exchange(assertion, { claims: '{' }), { status: 400, body: { error: 'invalid_request', error_codes: [9002313] } })
})

t.test('an app of several tenants exchanges tokens of users of each, in either', async t => {
  const { entra, exchange } = await startUserWorld(t)
  for (const id of [clientId, ordersClientId]) entra.registerApp({ clientId: id, tenantId: otherTenantId, secrets: [secret], exposes: id === ordersClientId ? orders : [] })
  const assertion = await entra.issueUserToken({ tenantId: otherTenantId, objectId })

  for (const tenant of [tenantId, otherTenantId]) t.match(accessTokenOf(await exchange(assertion, {}, tenant)), { tid: otherTenantId, iss: entra.issuer(otherTenantId), oid: objectId, aud: ordersClientId })
})

t.test('tests see who was exchanged, and no token', async t => {
  const { entra, ask, exchange } = await startUserWorld(t)
  const assertion = await entra.issueUserToken({ objectId })
  await exchange(assertion)
  await ask({ grant_type: 'client_credentials', scope: `${orders}/.default` })
  entra.disableUser(objectId)
  await exchange(assertion)

  t.match(entra.tokenRequests, [{ user: { objectId, tenantId }, body: { assertion: '***' }, status: 200 }, { user: undefined, status: 200 }, { user: { objectId, tenantId }, status: 400 }])
  t.notOk(JSON.stringify(entra.requests).includes(assertion.split('.')[1]!))
})

t.test('a fault may be invalid_grant without a suberror', async t => {
  const { entra, exchange } = await startUserWorld(t)
  entra.fail({ endpoint: 'token', error: 'invalid_grant', errorCodes: [500133] })
  const { status, body } = await exchange(await entra.issueUserToken())
  t.match({ status, body }, { status: 400, body: { error: 'invalid_grant', error_codes: [500133] } })
  t.notOk('suberror' in body)
})

t.test('MSAL itself exchanges a token on behalf of a user, and is told what a user has to do', async t => {
  const { entra } = await startUserWorld(t)
  const app = await msalClientOf(entra)
  const oboAssertion = await entra.issueUserToken({ objectId, preferredUsername: 'ada@contoso.com' })
  const request = { oboAssertion, scopes: [`${orders}/.default`] }

  const result = await app.acquireTokenOnBehalfOf(request)

  t.match(result, { tokenType: 'Bearer', fromCache: false, uniqueId: objectId, tenantId, account: { homeAccountId: `${objectId}.${tenantId}`, username: 'ada@contoso.com' } })
  t.match(decodeJwt(result!.accessToken), { oid: objectId, azp: clientId })
  t.match(await app.acquireTokenOnBehalfOf(request), { fromCache: true })

  entra.requireMfa()
  const error = await app.acquireTokenOnBehalfOf({ ...request, skipCache: true }).catch(error => error)
  t.ok(error instanceof InteractionRequiredAuthError)
  t.match(error, { errorCode: 'interaction_required', subError: 'basic_action', claims: /capolids/ })
})
