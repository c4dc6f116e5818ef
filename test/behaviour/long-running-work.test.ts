import { inspect } from 'node:util'
import t from 'tap'
import type { AcquireTokenOptions, FastifyIdentityWebOptions } from '../../plugins/index.ts'
import { bearer, buildOrders, ordersScope, startOrdersWorld, type OrdersWorld } from '../fixtures/orders-api.ts'
import { MemoryStore, settle } from '../fixtures/token-store.ts'
import { TokenAcquirerFactory } from '../../lib/core.ts'
import { identityWebOf } from '../fixtures/identity-web.ts'
import { answerJson, startRawServer } from '../fixtures/raw-server.ts'
import { sessions } from '../fixtures/sessions.ts'
import { TokenCipher } from '../../lib/store/token-cipher.ts'
import { systemClock } from '../../lib/tokens/clock.ts'
import { clientId, secret, tenantId } from '../fixtures/todo-api.ts'
import { otherTenantId } from '../fixtures/users.ts'

const objectId = 'aaaaaaaa-0000-4000-8000-000000000001'
const otherObjectId = 'aaaaaaaa-0000-4000-8000-000000000002'
const encryptionKeys = [{ id: 'k1', key: Buffer.alloc(32, 7) }]

interface Teardown { teardown (work: () => unknown): unknown }

/** An application with a route that begins a session, and one that goes on with the session whose key is in the query. */
async function startJobs (t: Teardown, world: OrdersWorld, options: FastifyIdentityWebOptions = {}) {
  const app = await buildOrders(t, world, app => {
    app.get('/begin', { config: { auth: {} } }, async request => {
      const acquireTokenOptions: AcquireTokenOptions = { longRunningWebApiSessionKey: (request.query as { key?: string }).key ?? 'AllocateForMe' }
      const who = await request.downstreamApi.getForUser<{ oid: string }>('Orders', { acquireTokenOptions })
      return { oid: who?.oid, key: acquireTokenOptions.longRunningWebApiSessionKey }
    })
  }, options)
  return {
    app,
    begin: async (token: string, key?: string) => {
      const response = await app.inject({ url: '/begin', query: key === undefined ? {} : { key }, headers: bearer(token) })
      return { status: response.statusCode, body: response.json() as { oid: string, key: string, code?: string, message?: string } }
    },
    goOn: (longRunningWebApiSessionKey: string) => app.downstreamApi.getForUser<{ oid: string }>('Orders', { acquireTokenOptions: { longRunningWebApiSessionKey } }),
  }
}

/** As if the tokens at hand had ended, without the time that it takes. */
const anew = (longRunningWebApiSessionKey: string) => ({ acquireTokenOptions: { longRunningWebApiSessionKey, forceRefresh: true } })

t.test('AllocateForMe is replaced by the new session key in the options that the caller passed, and the key alone goes on with the session', async t => {
  const world = await startOrdersWorld(t)
  const { app, begin, goOn } = await startJobs(t, world)

  const { body: { oid, key } } = await begin(await world.entra.issueUserToken({ objectId }))
  t.equal(oid, objectId)
  t.match(key, /^[\w-]{43}$/)
  t.match(await goOn(key), { oid: objectId, tid: tenantId })
  t.equal(world.entra.tokenRequests.length, 1, 'the token of the session is at hand')
  t.match(await app.downstreamApi.getForUser('Orders', anew(key)), { oid: objectId })
  t.match(world.entra.tokenRequests.map(({ body }) => body['grant_type']), ['urn:ietf:params:oauth:grant-type:jwt-bearer', 'refresh_token'])
})

t.test('the key is written wherever options are passed: an override, a function\'s copy, the header provider, the acquirer, in any letter case', async t => {
  const world = await startOrdersWorld(t)
  const { app } = await startJobs(t, world)
  const user = await world.entra.issueUserToken({ objectId })
  const keys: unknown[] = []

  const copied: AcquireTokenOptions = { longRunningWebApiSessionKey: 'AllocateForMe' }
  await app.downstreamApi.callApiForUser('Orders', options => {
    options.acquireTokenOptions = copied
  }, undefined, user)
  keys.push(copied.longRunningWebApiSessionKey)
  const header: { acquireTokenOptions: AcquireTokenOptions } = { acquireTokenOptions: { longRunningWebApiSessionKey: 'AllocateForMe' } }
  await app.authorizationHeaderProvider.createAuthorizationHeaderForUser([ordersScope], header, user)
  const acquire: AcquireTokenOptions = { longRunningWebApiSessionKey: 'AllocateForMe' }
  await app.tokenAcquirer.getTokenForUser(ordersScope, acquire, user)
  const spelt = { AcquireTokenOptions: { LongRunningWebApiSessionKey: 'AllocateForMe' } }
  await app.downstreamApi.getForUser('Orders', spelt as object, user)
  keys.push(header.acquireTokenOptions.longRunningWebApiSessionKey, acquire.longRunningWebApiSessionKey, spelt.AcquireTokenOptions.LongRunningWebApiSessionKey)

  t.equal(new Set(keys).size, 4)
  for (const key of keys) t.match(key, /^[\w-]{43}$/)
  await t.rejects(app.tokenAcquirer.getTokenForUser(ordersScope, Object.freeze({ longRunningWebApiSessionKey: 'AllocateForMe' }), user), { code: 'FST_IDW_CONFIG_INVALID', message: /not frozen/ })
})

t.test('a session goes on after the user\'s token has ended, with a key of the app\'s own', async t => {
  const world = await startOrdersWorld(t)
  const { app, begin, goOn } = await startJobs(t, world)
  t.equal((await begin(await world.entra.issueUserToken({ objectId, lifetime: 5 }), 'job-1')).status, 200)

  t.match(await goOn('job-1'), { oid: objectId })
  t.match(await app.downstreamApi.getForUser('Orders', anew('job-1')), { oid: objectId })
  t.ok((app.tokenAcquirer.diagnostics().find(({ flow }) => flow === 'longRunning')?.expiresOn?.getTime() ?? 0) > Date.now() + 60_000, 'its token lives on')
})

t.test('the key of another user\'s session is of no use with one\'s own token', async t => {
  const world = await startOrdersWorld(t)
  const { begin, goOn } = await startJobs(t, world)
  await begin(await world.entra.issueUserToken({ objectId }), 'job-1')

  t.match(await begin(await world.entra.issueUserToken({ objectId: otherObjectId }), 'job-1'), { status: 403, body: { code: 'FST_IDW_FORBIDDEN', message: /another user's/ } })
  t.match(await goOn('job-1'), { oid: objectId })
  t.match(await begin(await world.entra.issueUserToken({ objectId }), 'job-1'), { status: 200, body: { oid: objectId } })
})

t.test('two users who begin a session under one key at once never get each other\'s token', async t => {
  const world = await startOrdersWorld(t)
  const { begin, goOn } = await startJobs(t, world)
  const users = [objectId, otherObjectId]
  const tokens = await Promise.all(users.map(objectId => world.entra.issueUserToken({ objectId })))

  const answers = await Promise.all(tokens.map(token => begin(token, 'job-1')))
  t.strictSame(answers.map(({ status }) => status).sort(), [200, 403])
  const winner = users[answers.findIndex(({ status }) => status === 200)]
  t.match(answers.find(({ status }) => status === 200), { body: { oid: winner } })
  t.match(await goOn('job-1'), { oid: winner })
})

t.test('options that two calls share never hold the key of the one for the other', async t => {
  const world = await startOrdersWorld(t)
  const { app } = await startJobs(t, world)
  const shared: AcquireTokenOptions = { longRunningWebApiSessionKey: 'AllocateForMe' }
  const tokens = await Promise.all([objectId, otherObjectId].map(objectId => world.entra.issueUserToken({ objectId })))

  const outcomes = await Promise.allSettled(tokens.map(token => app.downstreamApi.getForUser<{ oid: string }>('Orders', { acquireTokenOptions: shared }, token)))
  t.match(outcomes.find(({ status }) => status === 'rejected'), { reason: { code: 'FST_IDW_CONFIG_INVALID', message: /no other call has/ } })
  const [first] = outcomes.filter(({ status }) => status === 'fulfilled') as PromiseFulfilledResult<{ oid: string }>[]
  t.match(await app.downstreamApi.getForUser('Orders', { acquireTokenOptions: shared }), { oid: first?.value.oid })
})

t.test('a call that goes on for a user is never made as the app', async t => {
  const world = await startOrdersWorld(t)
  const App = { ...world.config.Orders, Scopes: ['api://orders/.default'], RequestAppToken: true }
  const { app, begin } = await startJobs(t, { ...world, config: { ...world.config, App } as OrdersWorld['config'] })
  const { body: { key } } = await begin(await world.entra.issueUserToken({ objectId }))

  const acquireTokenOptions = { longRunningWebApiSessionKey: key }
  const refused = { code: 'FST_IDW_IDENTITY_NOT_ALLOWED' }
  await t.rejects(app.downstreamApi.callApi('App', { acquireTokenOptions }), refused)
  await t.rejects(app.downstreamApi.getForApp('App', { acquireTokenOptions }), refused)
  await t.rejects(app.tokenAcquirer.getTokenForApp('api://orders/.default', acquireTokenOptions), refused)
  await t.rejects(app.authorizationHeaderProvider.createAuthorizationHeader('api://orders/.default', { requestAppToken: true, acquireTokenOptions }), refused)
  t.match(await app.downstreamApi.getForUser('App', { acquireTokenOptions }), { oid: objectId })
})

t.test('without a session there is nothing to go on with, and an app begins none', async t => {
  const world = await startOrdersWorld(t)
  const { app, goOn } = await startJobs(t, world)
  await t.rejects(goOn('nobody-began-it'), { code: 'FST_IDW_USER_TOKEN_REQUIRED', message: /no long-running session/ })
  await t.rejects(goOn('AllocateForMe'), { code: 'FST_IDW_USER_TOKEN_REQUIRED' })
  await t.rejects(app.downstreamApi.getForUser('Orders', { acquireTokenOptions: { longRunningWebApiSessionKey: '' } }), { code: 'FST_IDW_USER_TOKEN_REQUIRED' }, 'an empty key is none')
  t.strictSame(world.entra.tokenRequests, [])
})

t.test('endSession forgets the refresh token and the tokens at hand, and what is under way does not bring them back', async t => {
  const world = await startOrdersWorld(t)
  const { app, begin, goOn } = await startJobs(t, world)
  const { body: { key } } = await begin(await world.entra.issueUserToken({ objectId }))

  const underWay = app.downstreamApi.getForUser('Orders', anew(key)).catch((error: unknown) => error)
  await app.tokenAcquirer.endSession(key)
  const outcome = await underWay
  t.ok((outcome as { oid?: string }).oid === objectId || (outcome as { code?: string }).code !== undefined)
  await t.rejects(goOn(key), { code: 'FST_IDW_USER_TOKEN_REQUIRED' })
  t.strictSame(app.tokenAcquirer.diagnostics().filter(({ state }) => state !== 'failed'), [])
  await app.tokenAcquirer.endSession('there is none')
})

t.test('a session that another process ends during an acquisition is not brought back', async t => {
  const world = await startOrdersWorld(t)
  const store = new MemoryStore(systemClock)
  const { app, begin } = await startJobs(t, world, { tokenCache: { store, encryptionKeys } })
  const other = await startJobs(t, world, { tokenCache: { store, encryptionKeys } })
  await begin(await world.entra.issueUserToken({ objectId }), 'job-1')
  const requests = world.entra.tokenRequests.length
  const underWay = app.downstreamApi.getForUser('Orders', anew('job-1')).catch((error: unknown) => error)
  while (world.entra.tokenRequests.length === requests) await settle()

  await other.app.tokenAcquirer.endSession('job-1')
  t.match(await underWay, { code: 'FST_IDW_USER_TOKEN_REQUIRED' })
  t.strictSame([...store.values.keys()], [])
})

t.test('a user who comes back to a session that another process has ended begins one, whatever tokens are at hand', async t => {
  const world = await startOrdersWorld(t)
  const clock = { ...systemClock, later: 0, elapsed: () => systemClock.elapsed() + clock.later }
  const store = new MemoryStore(systemClock)
  const options = { config: world.config, inbound: {}, tokenCache: { store, encryptionKeys, maxEntries: 100, storeManagedIdentities: false } }
  const { downstreamApi } = identityWebOf(t, options, { clock })
  const token = await world.entra.issueUserToken({ objectId })
  const call = () => downstreamApi.getForUser('Orders', { acquireTokenOptions: { longRunningWebApiSessionKey: 'job-1' } }, token)
  await call()
  await identityWebOf(t, options).tokenAcquirer.endSession('job-1')
  clock.later = 60_000

  t.match(await call(), { oid: objectId })
  t.match([...store.values.keys()], [/:session:/])
})

t.test('a session is of one app section: its refresh token goes to no other app', async t => {
  const world = await startOrdersWorld(t)
  const otherClient = '77777777-7777-4777-8777-777777777777'
  world.entra.registerApp({ clientId: otherClient, tenantId, secrets: ['other'] })
  const Other = { ...world.config.AzureAd, ClientId: otherClient, ClientCredentials: [{ SourceType: 'ClientSecret', ClientSecret: 'other' }] }
  const { app, begin, goOn } = await startJobs(t, { ...world, config: { ...world.config, Other } as OrdersWorld['config'] })
  const token = await world.entra.issueUserToken({ objectId })
  await begin(token, 'job-1')

  const options = { acquireTokenOptions: { longRunningWebApiSessionKey: 'job-1', authenticationOptionsName: 'Other' } }
  for (const user of [undefined, token]) await t.rejects(app.downstreamApi.getForUser('Orders', options, user), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', message: /another app/ })
  t.equal(world.entra.tokenRequests.length, 1)
  t.match(await goOn('job-1'), { oid: objectId })
})

t.test('a call in another tenant does not take the session there', async t => {
  const entra = await startRawServer(t, (_, response) => answerJson(response, 200, { access_token: 'opaque', token_type: 'Bearer', expires_in: 3599, refresh_token: 'newer' }))
  const store = new MemoryStore(systemClock)
  const key = 'job-1'
  const kept = sessions({ shared: { store, cipher: new TokenCipher(encryptionKeys) } })
  await kept.keep(key, { owner: `${tenantId}/${objectId}`, client: `${entra.origin}/  ${clientId}`, tenantId, refreshToken: 'first' }, systemClock.elapsed(), true)
  const factory = TokenAcquirerFactory.getDefaultInstance({
    config: { AzureAd: { Instance: entra.origin, TenantId: tenantId, ClientId: clientId, ClientSecret: secret } },
    tokenCache: { store, encryptionKeys },
  })
  t.teardown(() => factory.close())

  const asked: string[] = []
  for (const options of [{}, { tenant: otherTenantId }, { forceRefresh: true }]) {
    asked.push((await factory.tokenAcquirer.getTokenForUser(ordersScope, { longRunningWebApiSessionKey: key, ...options })).tenantId!)
  }
  t.strictSame(asked, [tenantId, otherTenantId, tenantId])
  t.match(await kept.find(key), { owner: `${tenantId}/${objectId}`, tenantId, refreshToken: 'newer' })
})

t.test('a store of sessions that does not work says nothing of Entra ID, which others go on to ask', async t => {
  const world = await startOrdersWorld(t)
  const store = new MemoryStore(systemClock)
  const { app, begin } = await startJobs(t, world, { tokenCache: { store, encryptionKeys } })
  store.before = operation => { if (operation.startsWith('set')) throw new Error('the store is full') }

  for (const key of ['job-1', 'job-2', 'job-3']) t.match(await begin(await world.entra.issueUserToken({ objectId }), key), { status: 503 })
  world.entra.fail({ endpoint: 'token', status: 503, times: 1 })
  t.match(await app.downstreamApi.getForUser('Orders', undefined, await world.entra.issueUserToken({ objectId })), { oid: objectId })
})

t.test('a session survives a restart where a shared store is configured, and ends for all processes', async t => {
  const world = await startOrdersWorld(t)
  const store = new MemoryStore(systemClock)
  const first = await startJobs(t, world, { tokenCache: { store, encryptionKeys } })
  const { body: { key } } = await first.begin(await world.entra.issueUserToken({ objectId }))
  await first.app.close()

  const second = await startJobs(t, world, { tokenCache: { store, encryptionKeys } })
  t.match(await second.goOn(key), { oid: objectId })
  const third = await startJobs(t, world, { tokenCache: { store, encryptionKeys } })
  await third.app.tokenAcquirer.endSession(key)
  await t.rejects(second.app.downstreamApi.getForUser('Orders', anew(key)), { code: 'FST_IDW_USER_TOKEN_REQUIRED' })
  t.strictSame([...store.values.keys()].filter(name => name.includes(':session:')), [])
})

t.test('refresh tokens are encrypted wherever they lie, and nothing of session or user is in the names', async t => {
  const world = await startOrdersWorld(t)
  const store = new MemoryStore(systemClock)
  const { app, begin } = await startJobs(t, world, { tokenCache: { store, encryptionKeys } })
  const { body: { key } } = await begin(await world.entra.issueUserToken({ objectId }))
  await app.downstreamApi.getForUser('Orders', anew(key))

  const [[name = '', { value = '' } = {}] = []] = store.values
  const { refreshToken, ...head } = JSON.parse(new TokenCipher(encryptionKeys).decrypt(value, name)!) as Record<string, string>
  t.strictSame(head, { owner: `${tenantId}/${objectId}`, client: `${world.entra.instance}  ${clientId}`, tenantId })
  t.match(refreshToken, /^\S{20,}$/)
  const kept = JSON.stringify([...store.values])
  for (const secret of [key, objectId, tenantId, refreshToken!]) t.notOk(kept.includes(secret))
  t.match([...store.values.keys()], [/^fastify-identity-web:v1:session:[\w-]{43}$/], 'tokens of sessions are not in the store')
  t.notOk(inspect(app, { depth: 9, showHidden: true }).includes(key))
})

t.test('a claims challenge of the API is met with the refresh token of the session, with no user at hand', async t => {
  const world = await startOrdersWorld(t)
  const { begin, goOn } = await startJobs(t, world)
  const { body: { key } } = await begin(await world.entra.issueUserToken({ objectId }))
  const claims = Buffer.from('{"access_token":{"nbf":{"essential":true,"value":"1"}}}').toString('base64')
  let challenges = 0
  world.ordersApi.interrupt = () => challenges++ === 0 ? { status: 401, headers: { 'www-authenticate': `Bearer error="insufficient_claims", claims="${claims}"` } } : undefined

  t.match(await goOn(key), { oid: objectId })
  t.match(world.entra.tokenRequests.at(-1), { body: { grant_type: 'refresh_token', claims: /"nbf"/ } })
  await goOn(key)
  t.equal(world.entra.tokenRequests.length, 2, 'the new token serves the calls that follow')
})

t.test('sessions of many users over one store, with faults and ends, never give one user the answers of another', async t => {
  const world = await startOrdersWorld(t)
  const store = new MemoryStore(systemClock)
  const [ours, theirs] = [await startJobs(t, world, { tokenCache: { store, encryptionKeys } }), await startJobs(t, world, { tokenCache: { store, encryptionKeys } })]
  let count = 0
  world.entra.fail({ endpoint: 'token', status: 503, times: Infinity, when: () => ++count % 7 === 0 })
  const answers = { own: 0, other: 0, failed: 0 }

  // Every two users share a key, which is the first one's who comes.
  await Promise.all(Array.from({ length: 40 }, async (_, user) => {
    const id = `bbbbbbbb-0000-4000-8000-0000000000${10 + user}`
    const token = await world.entra.issueUserToken({ objectId: id })
    const key = `job-${user >> 1}`
    for (let call = 0; call < 6; call++) {
      const { app } = (call + user) % 2 === 0 ? ours : theirs
      if (call === 3) await app.tokenAcquirer.endSession(key)
      const answer = await app.downstreamApi.getForUser<{ oid: string }>('Orders', call % 2 === 0 ? anew(key) : { acquireTokenOptions: { longRunningWebApiSessionKey: key } }, token).catch(() => undefined)
      answers[answer === undefined ? 'failed' : answer.oid === id ? 'own' : 'other']++
    }
  }))
  t.comment(JSON.stringify(answers))
  t.equal(answers.other, 0)
  t.ok(answers.own > 40)
})

t.test('while the store does not work, sessions that the process has seen go on, and others are told to come again', async t => {
  const world = await startOrdersWorld(t)
  const store = new MemoryStore(systemClock)
  const { app, begin, goOn } = await startJobs(t, world, { tokenCache: { store, encryptionKeys } })
  const { body: { key } } = await begin(await world.entra.issueUserToken({ objectId }))
  store.before = () => { throw new Error('the store is down') }

  t.match(await goOn(key), { oid: objectId })
  t.match(await app.downstreamApi.getForUser('Orders', anew(key)), { oid: objectId })
  await t.rejects(goOn('of another process'), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', statusCode: 503, retryable: true })
  await t.rejects(app.tokenAcquirer.endSession(key), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', message: /end it again/ })
})

t.test('a refresh token that is not accepted any longer asks for the user, and the user begins the session anew', async t => {
  const world = await startOrdersWorld(t)
  const { app, begin } = await startJobs(t, world)
  await begin(await world.entra.issueUserToken({ objectId }), 'job-1')
  const restore = world.entra.revokeUser(objectId)

  await t.rejects(app.downstreamApi.getForUser('Orders', anew('job-1')), { code: 'FST_IDW_CHALLENGE_USER', statusCode: 401 })
  restore()
  world.entra.fail({ endpoint: 'token', status: 400, error: 'invalid_grant', times: 1 })
  const token = await world.entra.issueUserToken({ objectId })
  t.match(await app.downstreamApi.getForUser('Orders', anew('job-1'), token), { oid: objectId })
})

t.test('a session key in a section or a route\'s config, which all callers would share, is a fault', async t => {
  const world = await startOrdersWorld(t)
  const Orders = { ...world.config.Orders, AcquireTokenOptions: { LongRunningWebApiSessionKey: 'all' } }
  await t.rejects(buildOrders(t, { ...world, config: { ...world.config, Orders } }), { code: 'FST_IDW_CONFIG_INVALID', message: /Orders\.AcquireTokenOptions\.LongRunningWebApiSessionKey: is of one user/ })
  await t.rejects(buildOrders(t, world, app => {
    app.get('/x', { config: { downstreamApi: { Orders: { acquireTokenOptions: { longRunningWebApiSessionKey: 'all' } } } } }, () => '')
  }), { code: 'FST_IDW_CONFIG_INVALID', message: /is of one user/ })
})

t.test('an app with a token of its own begins no session, and goes on with none', async t => {
  const world = await startOrdersWorld(t)
  const { app } = await startJobs(t, world)
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId, client_secret: secret, scope: 'api://todo/.default' })
  const { access_token: ofApp } = await (await fetch(`${world.entra.instance}${tenantId}/oauth2/v2.0/token`, { method: 'POST', body: form })).json() as { access_token: string }
  for (const key of ['AllocateForMe', 'job-1']) {
    await t.rejects(app.downstreamApi.getForUser('Orders', { acquireTokenOptions: { longRunningWebApiSessionKey: key } }, ofApp), { code: 'FST_IDW_FORBIDDEN', message: /the caller is an app/ }, key)
  }
})

t.test('without a refresh token no session begins; one that goes on keeps the last', async t => {
  const world = await startOrdersWorld(t)
  const { app, begin } = await startJobs(t, world)
  const token = await world.entra.issueUserToken({ objectId })
  const accessToken = (await app.tokenAcquirer.getTokenForUser(ordersScope, {}, token)).accessToken
  const body = JSON.stringify({ token_type: 'Bearer', expires_in: 3600, access_token: accessToken })

  world.entra.fail({ endpoint: 'token', body, times: 1 })
  t.match(await begin(token, 'job-1'), { status: 500, body: { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', message: /no refresh token\. Allow the app offline_access/ } })
  t.equal((await begin(token, 'job-1')).status, 200)
  world.entra.fail({ endpoint: 'token', body, times: 1 })
  for (let call = 0; call < 2; call++) t.match(await app.downstreamApi.getForUser('Orders', anew('job-1')), { oid: objectId })
})

t.test('an outage of Entra ID is no reason to begin a session anew', async t => {
  const world = await startOrdersWorld(t)
  const { app, begin } = await startJobs(t, world, { tokenTimeout: 300 })
  const token = await world.entra.issueUserToken({ objectId })
  await begin(token, 'job-1')
  world.entra.fail({ endpoint: 'token', status: 503, times: Infinity })

  await t.rejects(app.downstreamApi.getForUser('Orders', anew('job-1'), token), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', statusCode: 503 })
  t.ok(world.entra.tokenRequests.slice(1).every(({ body }) => body['grant_type'] === 'refresh_token'))
})
