import t from 'tap'
import { decodeJwt } from 'jose'
import { apiClientId, clientId, secret, tenantId } from '../../fixtures/todo-api.ts'
import { orders, ordersClientId, otherTenantId, startUserWorld } from '../../fixtures/users.ts'

const ada = '77777777-7777-4777-8777-777777777777'
const NINETY_DAYS = 90 * 24 * 3600 * 1000

async function start (t: Parameters<typeof startUserWorld>[0], options: Parameters<typeof startUserWorld>[1] = {}) {
  const world = await startUserWorld(t, options)
  const refresh = (token: string, form: Record<string, string | undefined> = {}, tenant?: string) => world.ask({ grant_type: 'refresh_token', refresh_token: token, scope: `${orders}/.default`, ...form }, tenant)
  return { ...world, refresh }
}

t.test('a refresh token gives a new access token of the same user, and a new refresh token', async t => {
  const { refresh, refreshToken } = await start(t)
  const token = await refreshToken({ objectId: ada, name: 'Ada', amr: ['pwd', 'mfa'], acrs: ['c1'] })

  const { status, body } = await refresh(token)

  t.match({ status, body }, { status: 200, body: { token_type: 'Bearer', expires_in: 3599, scope: /Orders\.Read/, refresh_token: String } })
  t.match(decodeJwt(String(body['access_token'])), { aud: ordersClientId, azp: clientId, oid: ada, name: 'Ada', amr: ['pwd', 'mfa'], acrs: ['c1'], tid: tenantId })
  t.not(body['refresh_token'], token)
  t.notOk(token.includes('eyJ'), 'it is opaque')
})

t.test('the old one stays valid, and so does each that follows', async t => {
  const { refresh, refreshToken } = await start(t)
  const token = await refreshToken()
  const { body } = await refresh(token)
  for (const each of [token, String(body['refresh_token']), token]) t.match(await refresh(each), { status: 200 })
})

t.test('a refresh token is for all APIs, as the scopes ask; without scopes, for those that were asked for', async t => {
  const { refresh, refreshToken } = await start(t)
  const token = await refreshToken()
  t.match((await refresh(token, { scope: 'https://graph.microsoft.com/Mail.Read' })).body, { scope: 'https://graph.microsoft.com/Mail.Read' })
  for (const scope of [undefined, '']) t.match((await refresh(token, { scope })).body, { scope: `${orders}/Orders.Read ${orders}/Orders.Write ${orders}/.default`, refresh_token: String, id_token: undefined })
  t.match(await refresh(token, { scope: 'api://unknown/.default' }), { status: 400, body: { error: 'invalid_resource', error_codes: [500011] } })
  t.match((await refresh(token, { scope: `${orders}/.default openid`, client_info: '1' })).body, { id_token: String, client_info: String })
})

t.test('what is no refresh token of that client in that tenant is refused', async t => {
  const { entra, refresh, refreshToken } = await start(t)
  entra.registerApp({ clientId: apiClientId, tenantId, secrets: [secret] })
  entra.registerApp({ clientId, tenantId: otherTenantId, secrets: [secret] })
  const token = await refreshToken()

  for (const unknown of ['1.unknown', `${token}x`, await entra.issueUserToken()]) t.match(await refresh(unknown), { status: 400, body: { error: 'invalid_grant', error_codes: [70000], suberror: 'bad_token' } })
  t.match(await refresh(token, { client_id: apiClientId }), { status: 400, body: { error: 'invalid_grant', error_codes: [700005], suberror: undefined } })
  t.match(await refresh(token, {}, otherTenantId), { status: 400, body: { error: 'invalid_grant', error_codes: [700005] } })
  t.match(await refresh(token, { client_secret: 'wrong' }), { status: 401, body: { error: 'invalid_client', error_codes: [7000215] } })
  t.match(await refresh(''), { status: 400, body: { error_codes: [900144] } })
})

t.test('a refresh token that was not used for 90 days has expired', async t => {
  let now = Date.UTC(2026, 10, 24)
  const { refresh, refreshToken } = await start(t, { now: () => now })
  const token = await refreshToken()

  now += NINETY_DAYS - 1
  const { status, body } = await refresh(token)
  t.equal(status, 200)
  now += 1
  t.match(await refresh(token), { status: 400, body: { error: 'invalid_grant', error_codes: [700082], suberror: 'bad_token' } })
  t.match(await refresh(String(body['refresh_token'])), { status: 200 }, 'the one that came of it lives on')
})

t.test('the rules hold for refresh tokens, by what the user signed in with', async t => {
  const { entra, refresh, refreshToken } = await start(t)
  const [weak, strong] = [await refreshToken({ objectId: ada }), await refreshToken({ objectId: ada, amr: ['mfa'], acrs: ['c1'] })]
  for (const [rule, error, aadsts] of [
    [() => entra.requireMfa({ resource: orders }), 'interaction_required', 50076],
    [() => entra.requireAcrs({ resource: orders, acrs: 'c1' }), 'interaction_required', 50158],
  ] as const) {
    const withdraw = rule()
    t.match(await refresh(weak), { status: 400, body: { error, error_codes: [aadsts], claims: String } })
    t.match(await refresh(strong), { status: 200 })
    withdraw()
  }
  for (const [rule, aadsts] of [[() => entra.requireConsent({ clientId, resource: orders }), 65001], [() => entra.disableUser(ada), 50057], [() => entra.revokeUser(ada), 50173]] as const) {
    const withdraw = rule()
    t.match(await refresh(strong), { status: 400, body: { error: 'invalid_grant', error_codes: [aadsts] } })
    withdraw()
    t.match(await refresh(strong), { status: 200 })
  }
})

t.test('a refresh token that was issued after the revocation is good', async t => {
  const { entra, refresh, refreshToken } = await start(t)
  const before = await refreshToken({ objectId: ada })
  entra.revokeUser(ada)
  t.match(await refresh(before), { status: 400, body: { error_codes: [50173], suberror: 'bad_token' } })
  t.match(await refresh(await refreshToken({ objectId: ada })), { status: 200 })
})

t.test('tests see whose token was refreshed, and no refresh token', async t => {
  const { entra, refresh, refreshToken } = await start(t)
  const token = await refreshToken({ objectId: ada })
  await refresh(token)
  t.match(entra.tokenRequests.at(-1), { user: { objectId: ada, tenantId }, body: { refresh_token: '***' }, status: 200 })
  t.notOk(JSON.stringify(entra.requests).includes(token))
})
