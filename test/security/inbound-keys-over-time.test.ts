import t from 'tap'
import { MockAgent } from 'undici'
import { setImmediate as turn } from 'node:timers/promises'
import { startAuthority } from '../fixtures/authority.ts'
import { openDoor } from '../fixtures/callers.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const unknown = { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401, message: /its key is not known/ }
const unavailable = { code: 'FST_IDW_UNAUTHORIZED', statusCode: 503, wwwAuthenticate: undefined, message: /cannot be validated now/ }

/** Until `condition` holds; what comes over the wire takes turns of the event loop. */
async function until (condition: () => boolean): Promise<void> {
  while (!condition()) await turn()
}

t.test('ten thousand tokens with made-up keys make one more request, and do not keep a good token waiting', async t => {
  const { authority, clock, enter } = await openDoor(t)
  const good = await authority.sign()
  const template = (await authority.sign()).split('.')
  await enter(good)
  await clock.advance(30 * SECOND)
  const fresh = await authority.sign(authority.user({ oid: 'another' }))
  const before = authority.keyRequests

  const outcomes = await Promise.allSettled(Array.from({ length: 10_000 }, (_, index) => {
    const header = Buffer.from(JSON.stringify({ alg: 'RS256', kid: `made-up-${index}` })).toString('base64url')
    return enter(`${header}.${template[1]}.${template[2]}`)
  }))
  t.ok(outcomes.every(({ status }) => status === 'rejected'))
  t.match((outcomes[9_999] as PromiseRejectedResult).reason, unknown)
  t.equal(authority.keyRequests, before + 1)
  authority.keysMood = 'slow'
  t.match(await enter(fresh), { claims: { oid: 'another' } })
  t.equal(authority.keyRequests, before + 1)
})

t.test('a key that is published later is taken after the cooldown, with a token that was refused before', async t => {
  const { authority, clock, enter } = await openDoor(t)
  await enter(await authority.sign())
  const key = await authority.addKey()
  const token = await authority.sign(authority.user(), {}, key)
  await t.rejects(enter(token), unknown)
  t.equal(authority.keyRequests, 1)
  await clock.advance(30 * SECOND)
  await t.resolves(enter(token))
  t.equal(authority.keyRequests, 2)
})

t.test('a key that is taken out stops working within an hour, for tokens that were validated before, too', async t => {
  const { authority, clock, enter } = await openDoor(t)
  const token = await authority.sign(authority.user({ exp: Math.floor(Date.now() / 1000) + 100_000 }))
  const first = await enter(token)
  t.equal(await enter(token), first)
  await authority.addKey()
  authority.removeKey('key-1')
  await clock.advance(45 * MINUTE - 1)
  t.equal(await enter(token), first)

  await clock.advance(15 * MINUTE + 1)
  await t.rejects(enter(token), unknown)
  await t.rejects(enter(token), unknown)
})

t.test('a key that changes under its name takes what the old one signed with it', async t => {
  const { authority, clock, enter } = await openDoor(t)
  const token = await authority.sign(authority.user({ exp: Math.floor(Date.now() / 1000) + 100_000 }))
  await enter(token)
  await authority.addKey({ kid: 'key-1' })
  await clock.advance(HOUR)
  await t.rejects(enter(token), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401, message: /its signature does not hold/ })
  await t.resolves(enter(await authority.sign()))
})

t.test('keys that are due are renewed in the background, which no caller waits for', async t => {
  const { authority, clock, enter } = await openDoor(t)
  const token = await authority.sign(authority.user({ exp: Math.floor(Date.now() / 1000) + 100_000 }))
  const first = await enter(token)
  authority.keysMood = 'slow'
  await clock.advance(45 * MINUTE)
  t.equal(await enter(token), first)
  await until(() => authority.waiting.length === 1)
  authority.release()
  authority.keysMood = 'good'
  await turn()
  t.equal(await enter(token), first)
})

t.test('while the authority is down the last good keys are used for a day, and then nobody is let in', async t => {
  const { authority, clock, lines, enter } = await openDoor(t)
  const exp = Math.floor(Date.now() / 1000) + 1_000_000
  const token = await authority.sign(authority.user({ exp }))
  const other = await authority.sign(authority.user({ exp, oid: 'another' }))
  const first = await enter(token)
  for (const mood of ['down', 'garbled'] as const) {
    authority.keysMood = mood
    await clock.advance(6 * HOUR)
    t.equal(await enter(token), first)
    t.match(lines.at(-1), { level: 'warn', message: /the last ones are used/ })
  }
  t.match(await enter(other), { claims: { oid: 'another' } })
  await clock.advance(12 * HOUR)
  await t.rejects(enter(token), unavailable)
  await t.rejects(enter(other), unavailable)

  authority.keysMood = 'good'
  await clock.advance(MINUTE)
  t.equal(await enter(token), first)
})

t.test('where keys were never fetched, tokens cannot be judged: 503 without a challenge, and the authority is asked again after 1, 2, 4 seconds', async t => {
  const { authority, clock, enter } = await openDoor(t)
  authority.keysMood = 'down'
  const token = await authority.sign()
  for (const [index, wait] of [1, 2, 4, 8, 16, 30, 30].entries()) {
    await t.rejects(enter(token), unavailable)
    t.equal(authority.keyRequests, index + 1)
    await clock.advance(wait * SECOND - 1)
    await t.rejects(enter(token), unavailable)
    t.equal(authority.keyRequests, index + 1)
    await clock.advance(1)
  }
  authority.keysMood = 'good'
  await t.resolves(enter(token))
})

t.test('an authority without an OpenID configuration has the issuer and keys that follow from its URL', async t => {
  const { authority, enter } = await openDoor(t)
  authority.documentMood = 'garbled'
  await t.resolves(enter(await authority.sign()))
  t.ok(authority.requests.some(path => path.endsWith('/discovery/v2.0/keys')))
  await t.resolves(enter(await authority.sign(authority.user({ ver: '1.0', appid: 'x', iss: authority.issuer(undefined, '1.0') }))))

  const all = await openDoor(t, { authority, inbound: { tenants: ['any'] } })
  await t.resolves(all.enter(await authority.sign()))
})

t.test('an authority that is slow is waited for three seconds', async t => {
  const { authority, clock, enter } = await openDoor(t)
  authority.keysMood = 'slow'
  const waiting = enter(await authority.sign())
  await until(() => authority.waiting.length === 1)
  clock.tick(3_000)
  await t.rejects(waiting, unavailable)
})

t.test('the dispatcher for identities carries the requests for keys', async t => {
  const agent = new MockAgent()
  agent.disableNetConnect()
  t.teardown(() => agent.close())
  const authority = await startAuthority(t)
  const { enter } = await openDoor(t, { authority, identityDispatcher: agent })
  await t.rejects(enter(await authority.sign()), unavailable)
  t.equal(authority.requests.length, 0)
})

t.test('who closes while keys are fetched logs nothing, and leaves nothing under way', async t => {
  const { identityWebOf } = await import('../fixtures/identity-web.ts')
  const { sectionOf } = await import('../fixtures/authority.ts')
  const authority = await startAuthority(t)
  authority.keysMood = 'slow'
  const identityWeb = identityWebOf(t, { config: { AzureAd: sectionOf(authority) }, inbound: {} })
  const waiting = identityWeb.inbound!.callerOf(['authorization', `Bearer ${await authority.sign()}`]) as Promise<unknown>
  await until(() => authority.waiting.length === 1)
  const refused = t.rejects(waiting, unavailable)
  await identityWeb.close()
  await refused
  t.strictSame(identityWeb.lines, [])
})
