import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { TokenAcquirerFactory } from '../../lib/core.ts'
import { bearer, buildOrders, ordersScope, startOrdersWorld } from '../fixtures/orders-api.ts'
import { build } from '../fixtures/build.ts'
import { MemoryStore } from '../fixtures/token-store.ts'
import { systemClock } from '../../lib/tokens/clock.ts'
import { clientId, secret, tenantId } from '../fixtures/todo-api.ts'
import { otherTenantId, ordersClientId } from '../fixtures/users.ts'

const objectId = 'aaaaaaaa-0000-4000-8000-000000000001'
const otherObjectId = 'aaaaaaaa-0000-4000-8000-000000000002'

async function mine (app: FastifyInstance, token: string, url = '/mine') {
  const response = await app.inject({ url, headers: bearer(token) })
  return { status: response.statusCode, body: response.json() as Record<string, unknown>, challenge: response.headers['www-authenticate'] }
}

t.test('a route that declares the identity of the user calls the API as its caller, whose token is exchanged once', async t => {
  const world = await startOrdersWorld(t)
  const app = await buildOrders(t, world)
  const token = await world.entra.issueUserToken({ objectId })

  for (let call = 0; call < 3; call++) t.match(await mine(app, token), { status: 200, body: { aud: ordersClientId, oid: objectId, azp: clientId, scp: /Orders\.Read/, tid: tenantId } })
  t.equal(world.entra.tokenRequests.length, 1)
  t.match(app.tokenAcquirer.diagnostics(), [{ flow: 'onBehalfOf', identity: 'user', api: 'Orders', tenantId, hits: 2 }])
})

t.test('callers who come at once with one token make one exchange', async t => {
  const world = await startOrdersWorld(t)
  const app = await buildOrders(t, world)
  const token = await world.entra.issueUserToken({ objectId })

  const answers = await Promise.all(Array.from({ length: 50 }, () => mine(app, token)))
  t.ok(answers.every(({ status, body }) => status === 200 && body['oid'] === objectId))
  t.equal(world.entra.tokenRequests.length, 1)
})

t.test('tokens on behalf of are kept by the assertion, never by the user: another sign-in of the same user is exchanged anew', async t => {
  const world = await startOrdersWorld(t)
  const app = await buildOrders(t, world)
  const weak = await world.entra.issueUserToken({ objectId, amr: ['pwd'] })
  const strong = await world.entra.issueUserToken({ objectId, amr: ['pwd', 'mfa'] })

  for (let round = 0; round < 3; round++) {
    t.strictSame((await mine(app, weak)).body['amr'], ['pwd'])
    t.strictSame((await mine(app, strong)).body['amr'], ['pwd', 'mfa'])
  }
  t.equal(world.entra.tokenRequests.length, 2)
})

t.test('a token on behalf of is kept no longer than the assertion lives, and is not renewed where a new one would end with it', async t => {
  const world = await startOrdersWorld(t, { accessTokenLifetime: 3600 })
  const app = await buildOrders(t, world)
  const token = await world.entra.issueUserToken({ objectId, lifetime: 600 })

  await mine(app, token)
  const [diagnostics] = app.tokenAcquirer.diagnostics()
  const { exp } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { exp: number }
  t.equal(diagnostics?.expiresOn?.getTime(), exp * 1000)
  t.equal(diagnostics?.nextRenewalOn, undefined)

  const long = await world.entra.issueUserToken({ objectId: otherObjectId, lifetime: 7200 })
  await mine(app, long)
  t.ok(app.tokenAcquirer.diagnostics().find(({ nextRenewalOn }) => nextRenewalOn !== undefined), 'one that ends before its assertion is renewed')
})

t.test('what was acquired on behalf of a caller is forgotten when the user signs out, in the shared store too, and nobody else\'s is', async t => {
  const world = await startOrdersWorld(t)
  const store = new MemoryStore(systemClock)
  const app = await buildOrders(t, world, () => {}, { tokenCache: { store, encryptionKeys: [{ id: 'k1', key: Buffer.alloc(32, 7) }] } })
  const [token, other] = [await world.entra.issueUserToken({ objectId }), await world.entra.issueUserToken({ objectId: otherObjectId })]
  await mine(app, token)
  await mine(app, other)
  t.equal(store.namesOf('token').length, 2)

  await app.tokenAcquirer.forgetUser(token)

  t.equal(store.namesOf('token').length, 1)
  t.equal(app.tokenAcquirer.diagnostics().length, 1)
  await mine(app, other)
  t.equal(world.entra.tokenRequests.length, 2)
  await mine(app, token)
  t.equal(world.entra.tokenRequests.length, 3)
  await t.rejects(app.tokenAcquirer.forgetUser(undefined), { code: 'FST_IDW_USER_TOKEN_REQUIRED' })
})

t.test('the tenant that is asked is the caller\'s own, and one that the call names goes before it', async t => {
  const world = await startOrdersWorld(t)
  const app = await buildOrders(t, world, app => {
    app.get('/elsewhere', { config: { auth: {} } }, request => request.downstreamApi.getForUser('Orders', { acquireTokenOptions: { tenant: tenantId } }))
  }, { inbound: { tenants: [tenantId, otherTenantId] } })
  const guest = await world.entra.issueUserToken({ objectId, tenantId: otherTenantId })

  t.match((await mine(app, guest)).body, { tid: otherTenantId, iss: world.entra.issuer(otherTenantId) })
  t.match((await mine(app, await world.entra.issueUserToken({ objectId }))).body, { tid: tenantId })
  await mine(app, guest, '/elsewhere')
  t.match(world.entra.tokenRequests.map(({ path }) => path.split('/')[1]), [otherTenantId, tenantId, tenantId])
})

t.test('an app token on a route of users is refused with the reason, and never becomes a call with the app\'s own rights', async t => {
  const world = await startOrdersWorld(t)
  const app = await buildOrders(t, world, app => {
    app.get('/anybody', { config: { auth: {} } }, request => request.downstreamApi.getForUser('Orders'))
  })
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId, client_secret: secret, scope: 'api://todo/.default' })
  const { access_token: ofApp } = await (await fetch(`${world.entra.instance}${tenantId}/oauth2/v2.0/token`, { method: 'POST', body: form })).json() as { access_token: string }
  const asked = world.entra.tokenRequests.length

  t.match(await mine(app, ofApp), { status: 403, body: { code: 'FST_IDW_FORBIDDEN', message: /an app's/ }, challenge: /^Bearer error="insufficient_scope"/ })
  t.match(await mine(app, ofApp, '/anybody'), { status: 403, body: { code: 'FST_IDW_FORBIDDEN', message: /the caller is an app/ }, challenge: /^Bearer error="insufficient_scope"/ })
  t.equal(world.entra.tokenRequests.length, asked)
  t.strictSame(world.ordersApi.callers, [])
})

t.test('only a token that passed validation is exchanged', async t => {
  const world = await startOrdersWorld(t)
  const app = await buildOrders(t, world)
  const [header, payload, signature] = (await world.entra.issueUserToken({ objectId })).split('.')
  const claims = JSON.parse(Buffer.from(payload!, 'base64url').toString()) as object
  const forged = [header, Buffer.from(JSON.stringify({ ...claims, oid: otherObjectId })).toString('base64url'), signature].join('.')
  const expired = await world.entra.issueUserToken({ objectId, lifetime: -3600 })
  const foreign = await world.entra.issueUserToken({ objectId, tenantId: otherTenantId })

  for (const token of [forged, expired, foreign]) {
    t.match(await mine(app, token), { status: 401, body: { code: 'FST_IDW_UNAUTHORIZED' } })
    await t.rejects(app.tokenAcquirer.getTokenForUser(ordersScope, {}, token), { code: 'FST_IDW_UNAUTHORIZED' })
    await t.rejects(app.authorizationHeaderProvider.createAuthorizationHeaderForUser([ordersScope], {}, token), { code: 'FST_IDW_UNAUTHORIZED' })
    await t.rejects(app.downstreamApi.getForUser('Orders', undefined, token), { code: 'FST_IDW_UNAUTHORIZED' })
  }
  t.strictSame(world.entra.tokenRequests, [])
})

t.test('code names the user by the raw token, by request.user, or by the request', async t => {
  const world = await startOrdersWorld(t)
  const app = await buildOrders(t, world, app => {
    app.get('/named', { config: { auth: { scopes: ['Todo.Read'] } } }, async request => {
      const users = [request.headers.authorization!.slice('Bearer '.length), request.user, request]
      const ids = await Promise.all(users.map(async user => (await app.downstreamApi.getForUser<{ oid: string }>('Orders', undefined, user))?.oid))
      const [header] = await Promise.all(users.map(user => app.authorizationHeaderProvider.createAuthorizationHeader([ordersScope], {}, user)))
      const { accessToken } = await app.tokenAcquirer.getTokenForUser([ordersScope], {}, request.user)
      const posted = await app.downstreamApi.callApi('Orders', undefined, undefined, request.user)
      return { ids, isSame: header === `Bearer ${accessToken}`, status: posted.status }
    })
  })

  t.strictSame((await mine(app, await world.entra.issueUserToken({ objectId }), '/named')).body, { ids: [objectId, objectId, objectId], isSame: true, status: 200 })
  t.equal(world.entra.tokenRequests.length, 1)
  for (const user of [{}, { oid: objectId }, 7, null, { user: { oid: objectId } }]) {
    await t.rejects(app.tokenAcquirer.getTokenForUser(ordersScope, {}, user), { code: 'FST_IDW_USER_TOKEN_REQUIRED', statusCode: 401 }, JSON.stringify(user))
  }
})

t.test('a call as the user without a validated caller is refused, and says what to do', async t => {
  const world = await startOrdersWorld(t)
  const app = await buildOrders(t, world, app => {
    app.get('/open', request => request.downstreamApi.getForUser('Orders'))
    app.get('/header', request => request.authorizationHeaderProvider.createAuthorizationHeaderForUser([ordersScope]))
  })
  for (const url of ['/open', '/header']) {
    const { status, body, challenge } = await mine(app, await world.entra.issueUserToken({ objectId }), url)
    t.match({ status, body, challenge }, { status: 401, body: { code: 'FST_IDW_USER_TOKEN_REQUIRED', message: /protect the route with config\.auth/ }, challenge: 'Bearer' })
  }
  await t.rejects(app.downstreamApi.callApiForUser('Orders'), { code: 'FST_IDW_USER_TOKEN_REQUIRED' })
  await t.rejects(app.tokenAcquirer.getTokenForUser(ordersScope), { code: 'FST_IDW_USER_TOKEN_REQUIRED' })

  const without = await build(t, { config: world.config })
  await t.rejects(without.downstreamApi.getForUser('Orders'), { code: 'FST_IDW_USER_TOKEN_REQUIRED', message: /set the option inbound/ })
  t.strictSame(world.entra.tokenRequests, [])
})

t.test('the header provider of a request gives the header of its caller, at once where the token is at hand', async t => {
  const world = await startOrdersWorld(t)
  const app = await buildOrders(t, world, app => {
    app.get('/header', { config: { auth: {} } }, async ({ authorizationHeaderProvider: provider }) => {
      await provider.createAuthorizationHeaderForUser([ordersScope])
      const again = await provider.createAuthorizationHeaderForUser([ordersScope])
      const { tokenSource, identity } = await provider.createAuthorizationHeaderInformationForUser([ordersScope])
      const information = await provider.createAuthorizationHeaderInformation([ordersScope])
      return { again, tokenSource, identity, isSame: information.authorizationHeader === again }
    })
  })
  const { body } = await mine(app, await world.entra.issueUserToken({ objectId }), '/header')
  t.match(body, { again: /^Bearer ey/, tokenSource: 'cache', identity: 'user', isSame: true })
  t.equal(world.entra.tokenRequests.length, 1)
})

t.test('headers for one user after the other, each named by a token that is seen for the first time, are each their own', async t => {
  const world = await startOrdersWorld(t)
  const { authorizationHeaderProvider: provider } = await buildOrders(t, world)
  const oids: unknown[] = []
  for (const user of [objectId, otherObjectId]) {
    const header = await provider.createAuthorizationHeaderForUser([ordersScope], undefined, await world.entra.issueUserToken({ objectId: user }))
    oids.push((JSON.parse(Buffer.from(header.split('.')[1]!, 'base64url').toString()) as { oid: string }).oid)
  }
  t.strictSame(oids, [objectId, otherObjectId])
})

t.test('what Entra ID needs of the user reaches the client in WWW-Authenticate, whatever the error handler makes of it', async t => {
  const world = await startOrdersWorld(t)
  const claims = { access_token: { capolids: { essential: true } } }
  world.entra.requireMfa({})
  for (const [name, handler] of Object.entries({
    own: undefined,
    another: (app: FastifyInstance) => app.setErrorHandler((error, _request, reply) => reply.code(401).send({ told: (error as Error).message })),
    async: (app: FastifyInstance) => app.setErrorHandler(async (error, _request, reply) => { reply.code(401); return { told: (error as Error).message } }),
    throwing: (app: FastifyInstance) => app.setErrorHandler(error => { throw error }),
  })) {
    const app = await buildOrders(t, world, app => { handler?.(app) })
    const { status, challenge } = await mine(app, await world.entra.issueUserToken({ objectId }))
    t.equal(status, 401, name)
    t.match(challenge, RegExp(`^Bearer authorization_uri="${world.entra.instance}${tenantId}/oauth2/v2.0/authorize", client_id="${clientId}", error="insufficient_claims"`), name)
    const [, encoded = ''] = /claims="([^"]+)"/.exec(String(challenge)) ?? []
    t.match(JSON.parse(Buffer.from(encoded, 'base64').toString()), claims, name)
  }
})

t.test('each thing that Entra ID needs of the user is a challenge with its own error, and nothing of it is cached', async t => {
  const world = await startOrdersWorld(t)
  const app = await buildOrders(t, world)
  const token = await world.entra.issueUserToken({ objectId })
  const cases: [() => () => void, RegExp, number][] = [
    [() => world.entra.requireConsent({ clientId, objectId }), /error="interaction_required".*scope="api:\/\/orders\/Orders\.Read"/, 65001],
    [() => world.entra.requireAcrs({ resource: 'api://orders', acrs: 'c1' }), /error="insufficient_claims"/, 0],
    [() => world.entra.revokeUser(objectId), /error="invalid_token"/, 50173],
    [() => world.entra.disableUser(objectId), /error="invalid_token"/, 50057],
  ]
  for (const [require, challenge, code] of cases) {
    const withdraw = require()
    const before = world.entra.tokenRequests.length
    t.match(await mine(app, token), { status: 401, body: { code: 'FST_IDW_CHALLENGE_USER' }, challenge })
    const error = await app.tokenAcquirer.getTokenForUser(ordersScope, {}, token).catch((error: unknown) => error)
    if (code > 0) t.match(error, { errorCodes: [code], scopes: [ordersScope] })
    t.equal(world.entra.tokenRequests.length, before + 2, 'asked once each time')
    withdraw()
  }
  t.match(await mine(app, token), { status: 200, body: { oid: objectId } })
})

t.test('a token that is for another app than the one that asks is the server\'s fault, which no client is sent to a user for', async t => {
  const world = await startOrdersWorld(t)
  const otherClient = '77777777-7777-4777-8777-777777777777'
  world.entra.registerApp({ clientId: otherClient, tenantId, secrets: ['other'] })
  const Other = { ...world.config.AzureAd, ClientId: otherClient, ClientCredentials: [{ SourceType: 'ClientSecret', ClientSecret: 'other' }] }
  const Orders = { ...world.config.Orders, AcquireTokenOptions: { AuthenticationOptionsName: 'Other' } }
  const app = await build(t, { config: { ...world.config, Orders, Other }, inbound: true }, app => {
    app.get('/mine', { config: { auth: {} } }, request => request.downstreamApi.getForUser('Orders'))
  })

  t.match(await mine(app, await world.entra.issueUserToken({ objectId })), { status: 500, body: { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', message: /AADSTS500131/ }, challenge: undefined })
})

t.test('one user\'s refusal or throttling never answers another', async t => {
  const world = await startOrdersWorld(t)
  const app = await buildOrders(t, world)
  world.entra.requireConsent({ clientId, objectId })
  world.entra.fail({ endpoint: 'token', status: 503, retryAfter: 60, times: 1 })

  const [refused, other] = await Promise.all([world.entra.issueUserToken({ objectId }), world.entra.issueUserToken({ objectId: otherObjectId })])
  await mine(app, refused)
  t.match(await mine(app, other), { status: 200, body: { oid: otherObjectId } })
  t.match(await mine(app, refused), { status: 401, body: { code: 'FST_IDW_CHALLENGE_USER' } })
  t.match(await mine(app, other), { status: 200, body: { oid: otherObjectId } })
})

t.test('a route whose identity for an API is the user reaches it with no other', async t => {
  const world = await startOrdersWorld(t)
  const app = await buildOrders(t, world, app => {
    app.get('/as-app', { config: { downstreamApi: { Orders: { identity: 'user' } } } }, request => request.downstreamApi.getForApp('Orders'))
    app.get('/header', { config: { downstreamApi: { Orders: { identity: 'user' } } } }, request => request.authorizationHeaderProvider.createAuthorizationHeaderForApp('api://orders/.default'))
  })
  const token = await world.entra.issueUserToken({ objectId })
  for (const url of ['/as-app', '/header']) t.match(await mine(app, token, url), { status: 500, body: { code: 'FST_IDW_IDENTITY_NOT_ALLOWED' } })
  t.strictSame(world.entra.tokenRequests, [])
})

t.test('a route that calls as the user fails ready() where callers are not validated, where no user is let in, and where the app cannot prove itself', async t => {
  const world = await startOrdersWorld(t)
  const identity = { Orders: { identity: 'user' as const } }
  await t.rejects(build(t, { config: world.config }, app => { app.get('/a', { config: { downstreamApi: identity } }, () => '') }), { message: /route GET \/a config\.downstreamApi\.Orders\.identity: 'user' needs inbound validation/ })
  await t.rejects(build(t, { config: world.config, inbound: true }, app => { app.get('/b', { config: { downstreamApi: identity, auth: { allow: 'app' } } }, () => '') }), { message: /route GET \/b config\.downstreamApi\.Orders\.identity: 'user' needs a caller who is a user/ })
  const { ClientCredentials: _, ...bare } = world.config.AzureAd
  await t.rejects(build(t, { config: { AzureAd: bare, Orders: { ...world.config.Orders, Scopes: [] }, Other: { BaseUrl: world.ordersApi.baseUrl } }, inbound: true }, app => { app.get('/c', { config: { downstreamApi: { Other: { identity: 'user', scopes: [ordersScope] } } } }, () => '') }), { message: /'user' needs the app section "AzureAd" to be complete, and it lacks ClientCredentials/ })
})

t.test('a daemon exchanges a raw token that it validates', async t => {
  const world = await startOrdersWorld(t)
  const daemon = TokenAcquirerFactory.getDefaultInstance({ config: world.config, inbound: true })
  t.teardown(() => daemon.close())
  const token = await world.entra.issueUserToken({ objectId })

  t.match(await daemon.downstreamApi.getForUser('Orders', undefined, token), { oid: objectId })
  await t.rejects(daemon.downstreamApi.getForUser('Orders', undefined, `${token}x`), { code: 'FST_IDW_UNAUTHORIZED' })
})

t.test('a claims challenge of the API is met with one new token for the user, and one more call', async t => {
  const world = await startOrdersWorld(t)
  const app = await buildOrders(t, world)
  const token = await world.entra.issueUserToken({ objectId })
  let challenges = 0
  world.ordersApi.interrupt = () => challenges++ === 0 ? { status: 401, headers: { 'www-authenticate': challengeFor({ access_token: { nbf: { essential: true, value: '1' } } }) } } : undefined

  t.match(await mine(app, token), { status: 200, body: { oid: objectId } })
  t.equal(challenges, 2)
  t.match(world.entra.tokenRequests.map(({ body }) => body['claims']), [undefined, /^\{"access_token":\{"nbf":\{"essential":true,"value":"1"\}\}/])
  await mine(app, token)
  t.equal(world.entra.tokenRequests.length, 2, 'the new token serves the calls that follow')
})

t.test('a user who is challenged again, or whom Entra ID refuses the claims, is told what to do, with the claims', async t => {
  const claims = { access_token: { acrs: { essential: true, value: 'c1' } } }
  const world = await startOrdersWorld(t)
  const app = await buildOrders(t, world, app => {
    app.get('/plain', { config: { auth: {} } }, async (request, reply) => reply.code((await request.downstreamApi.callApiForUser('Orders')).status).send({}))
  })
  world.ordersApi.interrupt = () => ({ status: 401, headers: { 'www-authenticate': challengeFor(claims) } })

  // Who lacks c1 is refused by Entra ID; who has it has a token that the API challenges for ever.
  for (const acrs of [[], ['c1']]) {
    for (const url of ['/mine', '/plain']) {
      const { status, body, challenge } = await mine(app, await world.entra.issueUserToken({ objectId, acrs }), url)
      t.match({ status, body }, { status: 401, body: { code: 'FST_IDW_CHALLENGE_USER' } }, `${url} ${acrs}`)
      const [, encoded = ''] = /error="insufficient_claims".*claims="([^"]+)"/.exec(String(challenge)) ?? []
      t.match(JSON.parse(Buffer.from(encoded, 'base64').toString()), claims)
    }
  }
})

function challengeFor (claims: object): string {
  return `Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", error="insufficient_claims", claims="${Buffer.from(JSON.stringify(claims)).toString('base64')}"`
}
