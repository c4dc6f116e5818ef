import t from 'tap'
import { webcrypto } from 'node:crypto'
import { openDoor } from '../fixtures/callers.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

/** Counts the signatures that are verified. */
function countVerifications (t: { teardown (work: () => unknown): unknown }): { count: number } {
  const counter = { count: 0 }
  const { subtle } = webcrypto
  const { verify } = subtle
  subtle.verify = ((...args: Parameters<typeof verify>) => {
    counter.count++
    return verify.apply(subtle, args)
  }) as typeof verify
  t.teardown(() => { subtle.verify = verify })
  return counter
}

t.test('a token is verified once by all who come with it at the same time, and not again while it lives', async t => {
  const verified = countVerifications(t)
  const { authority, enter, named } = await openDoor(t)
  const token = await authority.sign()
  const callers = await Promise.all(Array.from({ length: 100 }, () => enter(token)))
  t.equal(new Set(callers).size, 1)
  t.equal(await enter(token), callers[0])
  t.equal(await named(token), callers[0])
  t.equal(verified.count, 1)
})

t.test('what is remembered is the whole token: another signature or header on the same claims is another token', async t => {
  const { authority, enter } = await openDoor(t)
  const key = await authority.addKey()
  const claims = authority.user()
  const token = await authority.sign(claims)
  const caller = await enter(token)
  const [header, payload, signature] = token.split('.') as [string, string, string]
  for (const changed of [`${signature.slice(0, -4)}AAAA`, 'AA', `${signature}AA`, signature.slice(0, -1), signature.toLowerCase()]) await t.rejects(enter(`${header}.${payload}.${changed}`), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401 })
  await t.rejects(enter(`${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.${signature}`), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401 })
  t.equal(await enter(token), caller)

  const again = await enter(await authority.sign(claims, {}, key))
  t.not(again, caller)
  t.strictSame(again.claims, caller.claims)
})

t.test('a refusal is not remembered, and costs nobody else', async t => {
  const { authority, enter, clock } = await openDoor(t)
  const token = await authority.sign(authority.user({ nbf: Math.floor(clock.now() / 1000) + 120 }))
  await t.rejects(enter(token), { code: 'FST_IDW_UNAUTHORIZED', message: /not valid yet/ })
  await clock.advance(60_000)
  await t.resolves(enter(token))
})

t.test('a token that was validated ends at exp and the tolerance, also when the clock is set forward', async t => {
  for (const pass of [(clock: FakeClock, ms: number) => clock.advance(ms), async (clock: FakeClock, ms: number) => clock.setWall(clock.now() + ms)]) {
    const clock = new FakeClock(1_800_000_000_000)
    const { authority, enter } = await openDoor(t, { clock })
    const token = await authority.sign(authority.user({ exp: 1_800_000_000 + 600, nbf: 1_700_000_000, iat: 1_700_000_000 }))
    const caller = await enter(token)
    await pass(clock, 659_999)
    t.equal(await enter(token), caller)
    await pass(clock, 1)
    await t.rejects(enter(token), { code: 'FST_IDW_UNAUTHORIZED', message: /it has expired/ })
    await t.rejects(enter(token), { code: 'FST_IDW_UNAUTHORIZED', message: /it has expired/ })
  }
})

t.test('a bounded number of callers is remembered: who is forgotten is validated again', async t => {
  const verified = countVerifications(t)
  const { authority, enter } = await openDoor(t, { tokenCache: { maxEntries: 10, storeManagedIdentities: false } })
  const tokens = await Promise.all(Array.from({ length: 20 }, (_, index) => authority.sign(authority.user({ oid: `user ${index}` }))))
  for (const token of tokens) await enter(token)
  t.equal(verified.count, 20)
  for (const token of tokens.slice(10)) await enter(token)
  t.equal(verified.count, 20)
  t.match(await enter(tokens[0]!), { claims: { oid: 'user 0' } })
  t.equal(verified.count, 21)
})

t.test('a user is named by the token, by the claims that were validated, or by the request that has them, and by nothing that looks like them', async t => {
  const { authority, enter, named } = await openDoor(t)
  const token = await authority.sign()
  const caller = await enter(token)
  for (const user of [token, caller.claims, { user: caller.claims }]) t.equal(await named(user), caller)
  for (const user of [{ ...caller.claims }, structuredClone(caller.claims), { user: { ...caller.claims } }, { user: null }, {}, null, undefined, 7, Object.create(caller.claims), { claims: caller.claims }, [caller.claims]]) await t.rejects(named(user), { code: 'FST_IDW_USER_TOKEN_REQUIRED' })
  await t.rejects(named(`${token}x`), { code: 'FST_IDW_UNAUTHORIZED' })
  for (const text of ['', 'x', `Bearer ${token}`, 'x'.repeat(1024 * 1024), `${token.split('.')[0]}.${'x'.repeat(1024 * 1024)}.x`]) await t.rejects(named(text), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401 })
})

t.test('nothing of a token is in what refuses it, in logs or in the shape of a caller', async t => {
  const { inspect } = await import('node:util')
  const { authority, enter, lines } = await openDoor(t)
  const token = await authority.sign()
  const caller = await enter(token)
  const parts = token.split('.') as [string, string, string]
  for (const shown of [inspect(caller, { depth: 9, showHidden: true }), JSON.stringify(caller)]) for (const part of parts.slice(1)) t.notOk(shown.includes(part))
  for (const bad of [`${token}x`, `${parts[0]}.${parts[1]}.AAAA`, `x.${parts[1]}.${parts[2]}`, parts.join(' ')]) {
    const error: unknown = await enter(bad).catch((error: unknown) => error)
    for (const part of parts) t.notOk(inspect(error, { depth: 9, showHidden: true }).includes(part))
  }
  t.notOk(JSON.stringify(lines).includes(parts[1]))
})
