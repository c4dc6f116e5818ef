import t from 'tap'
import { createRemoteJWKSet, decodeJwt, jwtVerify, type JWTPayload } from 'jose'
import { startEntraEmulator, type UserTokenOptions } from '../../../plugins/testing.ts'
import { apiClientId, clientId, tenantId } from '../../fixtures/todo-api.ts'
import { orders, ordersClientId, otherTenantId, startUserWorld } from '../../fixtures/users.ts'

async function start (t: Parameters<typeof startUserWorld>[0], options: Parameters<typeof startUserWorld>[1] = {}) {
  const world = await startUserWorld(t, options)
  return { ...world, claimsOf: async (options?: UserTokenOptions): Promise<JWTPayload> => decodeJwt(await world.entra.issueUserToken(options)) }
}

t.test('without options, a user has signed in to the first app, with all that it exposes', async t => {
  const { entra } = await start(t)
  const token = await entra.issueUserToken()

  const { payload, protectedHeader } = await jwtVerify(token, createRemoteJWKSet(new URL(entra.jwksUri(tenantId))), { issuer: entra.issuer(tenantId), audience: clientId })

  t.match(protectedHeader, { typ: 'JWT', alg: 'RS256', kid: String })
  t.match(payload, { azp: '0ad0c11e-0000-4000-8000-000000000000', azpacr: '1', scp: 'Todo.Read Todo.Write', tid: tenantId, oid: String, sub: String, name: 'A User', preferred_username: 'user@example.com', amr: ['pwd'], idtyp: 'user', ver: '2.0', uti: String, aio: String, rh: String })
  for (const absent of ['acrs', 'roles', 'appid', 'upn', 'xms_cc']) t.notOk(absent in payload, absent)
  t.equal(payload.exp! - payload.iat!, 3599)
})

t.test('the user is the same in all tokens of an emulator, and has another subject for each API', async t => {
  const { claimsOf } = await start(t)
  const [one, two, other] = [await claimsOf(), await claimsOf(), await claimsOf({ audience: orders })]
  t.equal(one['oid'], other['oid'])
  t.equal(one.sub, two.sub)
  t.not(one.sub, other.sub)
  t.not(one['uti'], two['uti'])
  t.not((await claimsOf({ objectId: '77777777-7777-4777-8777-777777777777' })).sub, one.sub)
})

t.test('everything that tells users and sign-ins apart can be chosen', async t => {
  const { claimsOf } = await start(t)
  t.match(await claimsOf({
    audience: orders,
    tenantId: otherTenantId.toUpperCase(),
    clientId: apiClientId,
    scopes: ['Orders.Read'],
    roles: ['Reader'],
    objectId: '77777777-7777-4777-8777-777777777777',
    subject: 'a subject',
    name: 'Ada',
    preferredUsername: 'ada@contoso.com',
    amr: ['pwd', 'mfa'],
    acrs: ['c1'],
    isPublicClient: true,
  }), {
    aud: ordersClientId,
    tid: otherTenantId,
    iss: new RegExp(`/${otherTenantId}/v2\\.0$`),
    azp: apiClientId,
    azpacr: '0',
    scp: 'Orders.Read',
    roles: ['Reader'],
    oid: '77777777-7777-4777-8777-777777777777',
    sub: 'a subject',
    name: 'Ada',
    preferred_username: 'ada@contoso.com',
    amr: ['pwd', 'mfa'],
    acrs: ['c1'],
  })
})

t.test('an API is found by its client id, its App ID URIs, in any tenant, and so are Microsoft\'s', async t => {
  const { entra, claimsOf } = await start(t)
  entra.registerApp({ clientId: apiClientId, tenantId: otherTenantId, exposes: ['https://elsewhere.example/', 'api://elsewhere'] })
  for (const [audience, aud, tid] of [
    [ordersClientId, ordersClientId, tenantId],
    ['API://ORDERS/', ordersClientId, tenantId],
    [`api://${ordersClientId}`, ordersClientId, tenantId],
    ['api://elsewhere', apiClientId, otherTenantId],
    ['https://graph.microsoft.com', 'https://graph.microsoft.com', tenantId],
  ] as const) t.match(await claimsOf({ audience }), { aud, tid }, audience)
  t.match(await claimsOf({ audience: 'https://graph.microsoft.com' }), { scp: 'User.Read' })
  t.match(await claimsOf({ audience: 'https://vault.azure.net' }), { scp: 'user_impersonation' })
  t.match(await claimsOf({ audience: 'api://elsewhere' }), { scp: 'access_as_user' }, 'an API that says nothing of scopes')
})

t.test('scopes may be text, a list, or none', async t => {
  const { claimsOf } = await start(t)
  t.match(await claimsOf({ scopes: 'Todo.Read  Todo.Write' }), { scp: 'Todo.Read Todo.Write' })
  t.match(await claimsOf({ scopes: ['Todo.Read', 'Todo.Write'] }), { scp: 'Todo.Read Todo.Write' })
  for (const scopes of ['', []]) t.notOk('scp' in await claimsOf({ scopes }))
})

t.test('version 1.0 has the issuer, the audience and the names of v1.0', async t => {
  const { entra, claimsOf } = await start(t)
  const claims = await claimsOf({ version: '1.0', audience: orders, isPublicClient: true })

  t.match(claims, { iss: `${entra.instance}${tenantId}/`, aud: orders, appid: String, appidacr: '0', acr: '1', unique_name: 'user@example.com', upn: 'user@example.com', scp: 'Orders.Read Orders.Write', ver: '1.0' })
  for (const absent of ['azp', 'azpacr', 'preferred_username']) t.notOk(absent in claims, absent)
})

t.test('the audience of version 1.0 is the App ID URI: the one asked for, else the first', async t => {
  const { entra, claimsOf } = await start(t)
  entra.registerApp({ clientId: apiClientId, tenantId, exposes: ['api://first', 'https://second.example/'] })
  for (const [audience, aud] of [[apiClientId, 'api://first'], ['https://second.example', 'https://second.example/'], [`api://${apiClientId}`, `api://${apiClientId}`]] as const) t.match(await claimsOf({ version: '1.0', audience }), { aud }, audience)
})

t.test('a token may have expired: it was issued before', async t => {
  const { claimsOf } = await start(t, { now: () => Date.UTC(2026, 10, 24) })
  const now = Date.UTC(2026, 10, 24) / 1000
  t.match(await claimsOf({ lifetime: -1 }), { exp: now - 1, iat: now - 3601, nbf: now - 3601 })
  t.match(await claimsOf({ lifetime: 0 }), { exp: now, iat: now - 3600 })
  t.match(await claimsOf({ lifetime: 60 }), { exp: now + 60, iat: now })
})

t.test('the life of access tokens is that of the emulator unless it is chosen', async t => {
  const { claimsOf } = await start(t, { accessTokenLifetime: 60 })
  const { exp, iat } = await claimsOf()
  t.equal(exp! - iat!, 60)
})

t.test('claims are put over all others, and what is undefined is left out', async t => {
  const { claimsOf } = await start(t)
  const claims = await claimsOf({ claims: { aud: 'elsewhere', scp: undefined, tid: 'none', xms_cc: ['cp1'], iss: 'https://evil.example/' } })
  t.match(claims, { aud: 'elsewhere', tid: 'none', xms_cc: ['cp1'], iss: 'https://evil.example/' })
  t.notOk('scp' in claims)
})

t.test('an ID token is for the client, and names neither scopes nor who asked', async t => {
  const { entra } = await start(t)
  const claims = decodeJwt(await entra.issueIdToken({ clientId, roles: ['Reader'], acrs: ['c1'], claims: { nonce: 'n' } }))

  t.match(claims, { aud: clientId, iss: entra.issuer(tenantId), nonce: 'n', name: 'A User', preferred_username: 'user@example.com', oid: String, sub: String, tid: tenantId, roles: ['Reader'], acrs: ['c1'], ver: '2.0' })
  for (const absent of ['scp', 'azp', 'azpacr', 'amr', 'idtyp', 'appid']) t.notOk(absent in claims, absent)
  t.match(decodeJwt(await entra.issueIdToken()), { aud: '0ad0c11e-0000-4000-8000-000000000000', nonce: String })
})

t.test('arguments that are not right are refused by name', async t => {
  const { entra } = await start(t)
  for (const [options, message] of [
    [{ audience: 'api://nobody' }, /issueUserToken: audience: 'api:\/\/nobody' is not registered; register the API first/],
    [{ tenantId: 'contoso' }, /issueUserToken: tenantId: expected a GUID/],
    [{ version: '3.0' }, /issueUserToken: version: expected 1\.0 or 2\.0/],
    [{ scopes: 1 }, /issueUserToken: scopes: expected text, or a list of texts/],
    [{ lifetime: 0.5 }, /issueUserToken: lifetime: expected whole seconds/],
    [{ scope: 'x' }, /issueUserToken: scope/],
  ] as const) await t.rejects(entra.issueUserToken(options as UserTokenOptions), { name: 'TypeError', message })
  await t.rejects(entra.issueIdToken({ audience: 'api://nobody' }), { name: 'TypeError', message: /issueIdToken: audience/ })

  const empty = await startEntraEmulator()
  t.teardown(() => empty.close())
  await t.rejects(empty.issueUserToken(), { name: 'TypeError', message: /no app is registered/ })
})
