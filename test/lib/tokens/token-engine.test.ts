import t from 'tap'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import { tokenChannels, type TokenEvent } from '../../../lib/tokens/token-events.ts'
import { Token } from '../../../lib/tokens/token.ts'
import { SharedTokens } from '../../../lib/store/shared-tokens.ts'
import { suffixOf } from '../../../lib/tokens/token-request.ts'
import { engineOf, fault, HOUR, pending, refusal, requestOfApp, requestOfMachine, requestOfUser, tokenOf } from '../../fixtures/engine.ts'
import { loggerOf } from '../../fixtures/identity-web.ts'
import { cipher, MemoryStore, settle } from '../../fixtures/token-store.ts'

const request = requestOfApp()
const forced = { forceRefresh: true }
const unhandled: unknown[] = []
process.on('unhandledRejection', reason => unhandled.push(reason))

/** An engine that has a token, whose renewal is due after half an hour. */
async function engineWithToken (given: Parameters<typeof engineOf>[0] = {}) {
  const world = engineOf(given)
  world.provider.answers.push(world.provider.token(HOUR, HOUR / 2))
  await world.acquire(request)
  return world
}

async function engineWithDueToken (given: Parameters<typeof engineOf>[0] = {}) {
  const world = await engineWithToken(given)
  await world.clock.advance(HOUR / 2)
  return world
}

t.test('a cold caller waits for a token; a fresh one is given at once', async t => {
  const { engine, provider, acquire } = engineOf()
  t.equal(engine.atHand(request), undefined)

  t.strictSame(await engine.acquire(request).then(({ source }) => source), 'identity-provider')
  t.strictSame(await engine.acquire(request).then(({ source }) => source), 'cache')
  t.equal(engine.atHand(request)?.accessToken, 'token 1')
  t.equal(await acquire(request), 'token 1')
  t.equal(provider.requests.length, 1)
})

t.test('1,000 cold callers ask once, and get the one token or the one error', async t => {
  const { provider, acquire } = engineOf()
  provider.answers.push(refusal())
  const failed = await Promise.all(Array.from({ length: 1000 }, () => acquire(request).catch((error: unknown) => error)))
  t.equal(new Set(failed).size, 1)
  t.strictSame(new Set(await Promise.all(Array.from({ length: 1000 }, () => acquire(request)))), new Set(['token 1']))
  t.equal(provider.requests.length, 2)
})

t.test('a due token is given at once to all, while one renewal runs; the next caller gets the new token', async t => {
  const { clock, provider, acquire } = await engineWithDueToken()
  const answer = pending<Token>()
  provider.answers.push(() => answer.promise)

  t.strictSame(new Set(await Promise.all(Array.from({ length: 1000 }, () => acquire(request)))), new Set(['token 1']))
  t.equal(provider.requests.length, 2)
  answer.resolve(provider.token())
  await clock.advance(0)

  t.equal(await acquire(request), 'token 2')
  t.equal(provider.requests.length, 2)
})

t.test('without refresh_in, a token is renewed at three quarters of its life', async t => {
  const { clock, provider, acquire } = engineOf()
  await acquire(request)
  await clock.advance(0.75 * HOUR - 1)
  await acquire(request)
  t.equal(provider.requests.length, 1)
  await clock.advance(1)
  t.equal(await acquire(request), 'token 1')
  await clock.advance(0)
  t.equal(await acquire(request), 'token 2')
})

t.test('a token that was to be renewed before it came is renewed soon, and ever more rarely where all that come are like it', async t => {
  const { clock, provider, acquire } = engineOf()
  provider.otherwise = async () => tokenOf('overdue', clock.now(), HOUR, -1)
  for (let second = 0; second <= 20; second++) {
    await acquire(request)
    await clock.advance(1000)
  }
  t.strictSame(provider.times.map(time => Math.round(time / 1000)), [0, 1, 3, 7, 15])
  provider.otherwise = undefined
  await clock.advance(11_000)
  await acquire(request)
  await clock.advance(HOUR / 2)
  await acquire(request)
  t.equal(provider.requests.length, 6, 'one that comes in time is renewed in its time')
})

t.test('a token that has ended is waited for', async t => {
  const { clock, provider, engine } = await engineWithToken()
  await clock.advance(HOUR)
  t.equal(engine.atHand(request), undefined)
  t.match(await engine.acquire(request), { token: { accessToken: 'token 2' }, source: 'identity-provider' })
  t.equal(provider.requests.length, 2)
})

t.test('a renewal that fails is logged and backs off, and no call fails while the token is valid', async t => {
  const { clock, provider, acquire, lines } = await engineWithDueToken()
  provider.otherwise = refusal()

  // A caller every second until the token ends.
  const given = new Set<string>()
  for (let at = HOUR / 2; at < HOUR; at += 1000) {
    given.add(await acquire(request))
    await clock.advance(1000)
  }

  t.strictSame(given, new Set(['token 1']))
  const seconds = provider.times.map(time => Math.round((time - HOUR / 2) / 1000)).slice(1)
  t.strictSame(seconds, [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1111, 1411, 1711])
  const warnings = lines.filter(({ level }) => level === 'warn')
  t.equal(warnings.length, seconds.length, 'one line for each')
  t.match(warnings[0], { message: /token renewal failed/, fields: { err: { message: 'refused' }, flow: 'clientCredentials', api: 'MyWebApi', expiresOn: Date, nextRenewalOn: Date } })

  await t.rejects(acquire(request), { message: 'refused' })
  provider.otherwise = undefined
  t.equal(await acquire(request), 'token 2')
})

t.test('whatever a renewal fails with, no call does', async t => {
  const { clock, provider, acquire, lines } = await engineWithDueToken()
  provider.answers.push(new TypeError('a bug'))
  t.equal(await acquire(request), 'token 1')
  await clock.advance(1000)
  t.match(lines, [{ level: 'warn', fields: { err: { message: 'a bug' } } }])
  t.equal(await acquire(request), 'token 1')
  await clock.advance(0)
  t.equal(await acquire(request), 'token 2')
})

t.test('a renewal that may pass is attempted by the rules, and then backs off as Retry-After says', async t => {
  const { clock, provider, acquire } = await engineWithDueToken()
  provider.answers.push(fault(), fault(), fault({ retryAfter: 60 }))
  await acquire(request)
  await clock.advance(59_000)
  await acquire(request)
  t.equal(provider.requests.length, 4)
  await clock.advance(2000)
  await acquire(request)
  await clock.advance(0)
  t.equal(await acquire(request), 'token 2')
  t.equal(provider.requests.length, 5)
})

t.test('a renewal that is never answered ends at its deadline, and is tried again', async t => {
  const { clock, provider, acquire, lines } = await engineWithDueToken()
  const signals: AbortSignal[] = []
  provider.answers.push((_, signal) => { signals.push(signal); return new Promise(() => {}) })
  await acquire(request)
  await clock.advance(10_000)
  t.ok(signals[0]!.aborted)
  t.match(lines, [{ level: 'warn', fields: { err: { message: /did not answer within 10000 ms/ } } }])
  await clock.advance(1000)
  await acquire(request)
  await clock.advance(0)
  t.equal(await acquire(request), 'token 2')
})

t.test('a refusal is asked for once, a fault as often as the rules have it', async t => {
  const { clock, provider, acquire } = engineOf()
  provider.answers.push(refusal())
  await t.rejects(acquire(request), { message: 'refused' })
  t.equal(provider.requests.length, 1)

  provider.answers.push(fault(), fault())
  const call = acquire(request)
  await clock.advance(1000)
  t.equal(await call, 'token 1')
  t.equal(provider.requests.length, 4)
})

t.test('what may pass for a managed identity is attempted more often, within the deadline', async t => {
  const { clock, provider, acquire } = engineOf({ tokenTimeout: 5000 })
  provider.otherwise = fault({ status: 410 })
  const call = t.rejects(acquire(requestOfMachine()), { status: 410 } as never)
  await clock.advance(5000)
  await call
  t.strictSame(provider.times, [0, 250, 750, 1750, 3750])
})

t.test('no caller waits longer than the deadline, and the error names who did not answer', async t => {
  const { clock, provider, acquire } = engineOf()
  for (const [prepared, message] of [[request, /Entra ID did not answer within 10000 ms\. Check the network, or raise tokenTimeout/], [requestOfMachine(), /managed identity endpoint of the platform did not answer within 10000 ms\. Check that this is an Azure resource/]] as const) {
    provider.answers.push(() => new Promise(() => {}))
    const call = t.rejects(acquire(prepared), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', statusCode: 503, retryable: true, message } as never)
    await clock.advance(10_000)
    await call
  }
})

t.test('forceRefresh', async t => {
  t.test('goes past the token at hand and replaces it; those who force at the same time share', async t => {
    const { provider, acquire } = await engineWithToken()
    t.strictSame(await Promise.all([acquire(request, forced), acquire(request, forced)]), ['token 2', 'token 2'])
    t.equal(await acquire(request), 'token 2')
    t.equal(provider.requests.length, 2)
  })

  t.test('works for a managed identity too', async t => {
    const { acquire } = engineOf()
    const machine = requestOfMachine()
    t.equal(await acquire(machine), 'token 1')
    t.equal(await acquire(machine, forced), 'token 2')
    t.equal(await acquire(machine), 'token 2')
  })

  t.test('does not join a renewal, whose token is older and never replaces the newer one, although it ends later', async t => {
    const { clock, provider, acquire } = await engineWithDueToken()
    const renewal = pending<Token>()
    provider.answers.push(() => renewal.promise, tokenOf('forced', clock.now()))
    await acquire(request)

    t.equal(await acquire(request, forced), 'forced')
    renewal.resolve(tokenOf('renewed', clock.now()))
    await clock.advance(0)

    t.equal(await acquire(request), 'forced')
    t.equal(provider.requests.length, 3)
  })

  t.test('replaces what a renewal has brought meanwhile', async t => {
    const { clock, provider, acquire } = await engineWithDueToken()
    const force = pending<Token>()
    provider.answers.push(tokenOf('renewed', clock.now()), () => force.promise)
    await acquire(request)
    const call = acquire(request, forced)
    await clock.advance(0)
    t.equal(await acquire(request), 'renewed')
    force.resolve(tokenOf('forced', clock.now()))
    t.equal(await call, 'forced')
    t.equal(await acquire(request), 'forced')
  })

  t.test('fails where there is no other token, and leaves the one at hand', async t => {
    const { provider, acquire } = await engineWithToken()
    provider.answers.push(refusal())
    await t.rejects(acquire(request, forced), { message: 'refused' })
    t.equal(await acquire(request), 'token 1')
  })
})

t.test('claims go past the token at hand, have an acquisition of their own, and their token replaces the one without', async t => {
  const { provider, acquire } = await engineWithToken()
  const one = requestOfApp({ claims: '{"a":1}' })
  const two = requestOfApp({ claims: '{"a":2}' })

  t.strictSame(await Promise.all([acquire(one), acquire(one), acquire(two)]), ['token 2', 'token 2', 'token 3'])
  t.equal(await acquire(request), 'token 3')
  t.equal(await acquire(one), 'token 4', 'every challenge is a new one')
  t.strictSame(provider.requests.map(({ claims }) => claims), [undefined, '{"a":1}', '{"a":2}', '{"a":1}'])
})

t.test('a caller whose acquisition fails gets what another has brought meanwhile', async t => {
  const { clock, provider, acquire, engine } = engineOf()
  const slow = pending<Token>()
  provider.answers.push(() => slow.promise)
  const call = engine.acquire(request)
  await clock.advance(0)
  await acquire(request, forced)
  slow.reject(refusal())

  t.match(await call, { token: { accessToken: 'token 1' }, source: 'cache' })
  await clock.advance(60_000)
  await acquire(request)
  t.equal(provider.requests.length, 2, 'nor is that renewed any earlier')
})

t.test('in the last seconds of a token', async t => {
  async function ending () {
    const world = await engineWithToken()
    await world.clock.advance(HOUR - 4000)
    return world
  }

  t.test('a caller gets a new one', async t => {
    const { acquire, engine } = await ending()
    t.equal(engine.atHand(request), undefined)
    t.equal(await acquire(request), 'token 2')
  })

  t.test('all get the old one when that fails, and it is then used to its end, and renewed in the background', async t => {
    const { clock, provider, engine, acquire, lines } = await ending()
    provider.answers.push(refusal())
    const given = await Promise.all(Array.from({ length: 100 }, () => engine.acquire(request)))
    t.ok(given.every(({ token, source }) => token.accessToken === 'token 1' && source === 'cache'))
    t.equal(lines.filter(({ level }) => level === 'warn').length, 1, 'told once')
    t.equal(engine.atHand(request)?.accessToken, 'token 1')
    t.equal(provider.requests.length, 2)

    await clock.advance(1000)
    t.equal(await acquire(request), 'token 1')
    await clock.advance(0)
    t.equal(await acquire(request), 'token 2')
  })

  t.test('a caller does not wait for longer than the old one can still be used', async t => {
    const { clock, provider, engine, lines } = await ending()
    const answer = pending<Token>()
    provider.answers.push(() => answer.promise)
    const call = engine.acquire(request)
    await clock.advance(2000)

    t.match(await call, { token: { accessToken: 'token 1' }, source: 'cache' })
    t.strictSame(lines, [], 'nothing has failed')
    answer.resolve(provider.token())
    await clock.advance(0)
    t.equal(engine.atHand(request)?.accessToken, 'token 2')
  })

  t.test('a caller whose old token has ended before it was given waits on for the acquisition that is under way', async t => {
    const { clock, provider, acquire } = await ending()
    const answer = pending<Token>()
    provider.answers.push(() => answer.promise)
    const call = acquire(request)
    clock.setWall(clock.now() + 4000)
    await clock.advance(2000)
    answer.resolve(provider.token())
    t.equal(await call, 'token 2')
  })

  t.test('a token that has ended meanwhile is not given', async t => {
    const { clock, provider, acquire } = await ending()
    const answer = pending<Token>()
    provider.answers.push(() => answer.promise)
    const call = t.rejects(acquire(request), { message: 'refused' })
    clock.setWall(clock.now() + HOUR)
    answer.reject(refusal())
    await call
  })
})

t.test('clock jumps', async t => {
  t.test('set forward, and a machine that slept: the token has ended, and one acquisition for all brings the next', async t => {
    const { clock, provider, acquire } = await engineWithToken()
    clock.setWall(clock.now() + 2 * HOUR)
    t.strictSame(new Set(await Promise.all(Array.from({ length: 100 }, () => acquire(request)))), new Set(['token 2']))
    for (let call = 0; call < 100; call++) await acquire(request)
    t.equal(provider.requests.length, 2)
  })

  t.test('set back: the token is neither used beyond its life nor asked for again and again', async t => {
    const { clock, provider, acquire } = await engineWithToken()
    clock.setWall(clock.now() - 24 * HOUR)
    for (let call = 0; call < 100; call++) t.equal(await acquire(request), 'token 1')
    t.equal(provider.requests.length, 1)
    await clock.advance(HOUR / 2)
    await acquire(request)
    await clock.advance(0)
    t.equal(await acquire(request), 'token 2', 'renewed when it was due')
    t.equal(provider.requests.length, 2)
  })

  t.test('set back and forth during an acquisition', async t => {
    const { clock, provider, acquire } = engineOf()
    const answer = pending<Token>()
    provider.answers.push(() => answer.promise)
    const call = acquire(request)
    clock.setWall(clock.now() - 3 * HOUR)
    answer.resolve(provider.token())
    t.equal(await call, 'token 1')
    clock.setWall(clock.now() + 3 * HOUR)
    t.equal(await acquire(request), 'token 2')
    t.equal(await acquire(request), 'token 2')
    t.equal(provider.requests.length, 2)
  })

  t.test('a provider whose tokens have ended by this machine\'s clock is asked a bounded number of times', async t => {
    const { clock, provider, acquire, engine } = engineOf()
    provider.otherwise = async () => tokenOf('old', clock.now(), -HOUR)
    t.equal(await acquire(request), 'old')
    t.equal(provider.requests.length, 2, 'at most twice for one call')
    t.equal(engine.atHand(request), undefined)
    t.strictSame(engine.diagnostics(), [], 'and none is kept')
  })
})

t.test('bounds', async t => {
  t.test('the tokens that were used last are kept', async t => {
    const { provider, acquire } = engineOf({ maxEntries: 2 })
    const [a, b, c] = ['a', 'b', 'c'].map(scope => requestOfApp({ scope })) as [typeof request, typeof request, typeof request]
    for (const prepared of [a, b, a, c, a]) await acquire(prepared)
    t.equal(provider.requests.length, 3)
    await acquire(b)
    t.equal(provider.requests.length, 4)
  })

  t.test('a token that is used on and on stays, however many others come and go', async t => {
    const { provider, acquire, engine } = engineOf({ maxEntries: 16 })
    const used = requestOfApp({ scope: 'used' })
    const unused = requestOfApp({ scope: 'unused' })
    for (const prepared of [used, unused]) await acquire(prepared)
    for (let other = 0; other < 100; other++) {
      await acquire(requestOfApp({ scope: `other ${other}` }))
      t.equal(engine.atHand(used)?.accessToken, 'token 1')
    }
    t.equal(engine.atHand(unused), undefined)
    t.equal(engine.diagnostics().length, 16)
    t.equal(provider.requests.length, 102)
  })

  t.test('a request that is made again has the token that has replaced the one it had', async t => {
    const { acquire, engine } = engineOf()
    const again = requestOfApp()
    t.equal(await acquire(again), 'token 1')
    t.equal(engine.atHand(again)?.accessToken, 'token 1')
    await acquire(requestOfApp(), { forceRefresh: true })
    t.equal(engine.atHand(again)?.accessToken, 'token 2')
    await engine.close()
    t.equal(engine.atHand(again), undefined)
  })

  t.test('eviction does not drop what is under way', async t => {
    const { clock, provider, acquire, engine } = engineOf({ maxEntries: 1 })
    provider.answers.push(provider.token(HOUR, HOUR / 2))
    await acquire(request)
    await clock.advance(HOUR / 2)
    const renewal = pending<Token>()
    provider.answers.push(() => renewal.promise)
    await acquire(request)
    await acquire(requestOfApp({ scope: 'other' }))
    t.equal(engine.atHand(request), undefined, 'evicted')

    const joined = acquire(request)
    renewal.resolve(tokenOf('renewed', clock.now()))
    t.equal(await joined, 'renewed')
    t.equal(await acquire(request), 'renewed')
    t.equal(provider.requests.length, 3)
  })

  t.test('tokens that have ended are dropped when the next is kept', async t => {
    const { clock, acquire, engine } = engineOf()
    for (let user = 0; user < 50; user++) await acquire(requestOfUser(`user ${user}`))
    await clock.advance(HOUR - 1)
    await acquire(requestOfUser('late'))
    t.equal(engine.diagnostics().length, 51)
    await clock.advance(1)
    await acquire(requestOfUser('later'))
    t.equal(engine.diagnostics().length, 2)
  })

  t.test('a token that lives long and is used on and on does not keep those that have ended', async t => {
    const { clock, provider, acquire, engine } = engineOf({ maxEntries: 1_000 })
    const used = requestOfApp()
    provider.answers.push(provider.token(24 * HOUR))
    for (const user of Array(50).keys()) {
      t.equal(await acquire(used), 'token 1')
      await acquire(requestOfUser(`user ${user}`))
    }
    await clock.advance(HOUR)
    for (const user of Array(8).keys()) {
      t.equal(await acquire(used), 'token 1')
      await acquire(requestOfUser(`later user ${user}`))
    }
    t.equal(engine.diagnostics().length, 9)
  })
})

t.test('closing ends what is under way, forgets the tokens, and asks nobody any more', async t => {
  const { clock, provider, acquire, engine, lines } = await engineWithDueToken()
  const closing = { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', message: /closing/, retryable: false }
  const signals: AbortSignal[] = []
  provider.otherwise = (_, signal) => { signals.push(signal); return new Promise(() => {}) }
  await acquire(request)
  const calls = [acquire(requestOfApp({ scope: 'cold' })), acquire(request, forced)].map(call => t.rejects(call, closing as never))

  const closed = engine.close()
  t.equal(await acquire(request), 'token 1', 'what needs nobody may end')
  await closed

  await Promise.all(calls)
  t.ok(signals.length === 3 && signals.every(({ aborted }) => aborted))
  t.strictSame(engine.diagnostics().filter(({ expiresOn }) => expiresOn !== undefined), [])
  await t.rejects(acquire(request), closing as never)
  await clock.advance(HOUR)
  t.equal(provider.requests.length, 4)
  t.strictSame(lines, [], 'and nothing is told')
})

t.test('closing ends the pause between two attempts', async t => {
  const { clock, provider, acquire, engine } = engineOf()
  provider.otherwise = fault()
  const call = t.rejects(acquire(request), { message: /closing/ })
  await clock.advance(1)
  await engine.close()
  await call
  await clock.advance(60_000)
  t.equal(provider.requests.length, 1)
})

t.test('a token that comes after closing is not kept', async t => {
  const { clock, provider, acquire, engine } = engineOf()
  const answer = pending<Token>()
  provider.answers.push(() => answer.promise)
  const call = t.rejects(acquire(request), { message: /closing/ })
  answer.resolve(provider.token())
  await engine.close()
  await call
  await clock.advance(0)
  t.equal(engine.atHand(request), undefined)
})

t.test('a renewal is not begun while closing', async t => {
  const { provider, engine } = await engineWithDueToken()
  const closed = engine.close()
  t.equal(engine.atHand(request)?.accessToken, 'token 1')
  await closed
  t.equal(provider.requests.length, 1)
})

t.test('an abort detaches its caller only, and who has given up before asks nobody', async t => {
  const { provider, acquire } = engineOf()
  const reason = { why: 'of any kind' }
  await acquire(request, { signal: AbortSignal.abort(reason) }).then(() => t.fail('a token was given'), error => t.equal(error, reason))
  t.equal(provider.requests.length, 0)

  const answer = pending<Token>()
  provider.answers.push(() => answer.promise)
  const leaver = new AbortController()
  const left = acquire(request, { signal: leaver.signal }).then(() => t.fail('a token was given'), error => t.equal(error, reason))
  const stayed = [acquire(request), acquire(request, { signal: new AbortController().signal })]
  leaver.abort(reason)
  await left
  answer.resolve(provider.token())
  t.strictSame(await Promise.all(stayed), ['token 1', 'token 1'])
  t.equal(provider.requests.length, 1)
})

t.test('while an identity provider fails', async t => {
  const failFast = { message: /has been failing/, retryable: true, retryAfter: 1 }

  /** Three apps have failed for the deadline's sake. */
  async function failing () {
    const world = engineOf()
    world.provider.otherwise = () => new Promise(() => {})
    const calls = ['a', 'b', 'c'].map(scope => t.rejects(world.acquire(requestOfApp({ scope })), { message: /did not answer/ }))
    await world.clock.advance(10_000)
    await Promise.all(calls)
    return world
  }

  t.test('callers do not queue: one is the probe, the others are told when to come again', async t => {
    const { clock, provider, acquire } = await failing()
    const probe = t.rejects(acquire(requestOfApp({ scope: 'probe' })), { message: /did not answer/ })
    await clock.advance(0)
    for (let caller = 0; caller < 10; caller++) await t.rejects(acquire(requestOfApp({ scope: `other ${caller}` })), failFast as never)
    t.equal(provider.requests.length, 4)
    await clock.advance(10_000)
    await probe
  })

  t.test('a probe that hears no signal does not hold the circuit for ever', async t => {
    const { clock, provider, acquire } = await failing()
    const probe = t.rejects(acquire(request), { message: /did not answer/ })
    await clock.advance(10_000)
    await probe
    provider.otherwise = undefined
    t.equal(await acquire(request), 'token 1')
  })

  t.test('a probe asks once, and for three seconds at most', async t => {
    const { clock, provider, acquire } = await failing()
    const probe = t.rejects(acquire(request), { message: /did not answer within 3000 ms/ })
    await clock.advance(3000)
    await probe
    provider.answers.push(fault())
    await t.rejects(acquire(request), { message: 'busy' })
    t.equal(provider.requests.length, 5)
  })

  t.test('a fault that is gone is gone on the next call', async t => {
    const { provider, acquire } = await failing()
    provider.otherwise = undefined
    t.equal(await acquire(request), 'token 1')
    t.strictSame(await Promise.all(['x', 'y', 'z'].map(scope => acquire(requestOfApp({ scope })))), ['token 2', 'token 3', 'token 4'])
  })

  t.test('other tenants, and managed identities, are served', async t => {
    const { provider, acquire } = await failing()
    provider.otherwise = undefined
    t.equal(await acquire(requestOfApp({ tenant: 'fabrikam' })), 'token 1')
    t.equal(await acquire(requestOfMachine()), 'token 2')
  })

  t.test('tokens at hand are given, and renewed when it works again', async t => {
    const { clock, provider, acquire } = await engineWithDueToken()
    provider.otherwise = fault({ status: undefined })
    for (let second = 0; second < 120; second++) {
      t.equal(await acquire(request), 'token 1')
      acquire(requestOfApp({ scope: `cold ${second}` })).catch(() => {})
      await clock.advance(1000)
    }
    provider.otherwise = undefined
    for (let second = 0; second < 300; second++) {
      await acquire(request)
      await clock.advance(1000)
    }
    t.not(await acquire(request), 'token 1')
  })
})

t.test('one user\'s failure answers no other user', async t => {
  const { provider, acquire } = engineOf()
  provider.otherwise = async request => {
    if (request.flow === 'onBehalfOf' && request.userAssertion === 'throttled') throw fault({ status: 429, retryAfter: 60 })
    return tokenOf('token', Date.now() + HOUR)
  }
  for (let time = 0; time < 20; time++) {
    await t.rejects(acquire(requestOfUser('throttled')), { status: 429 } as never)
    t.equal(await acquire(requestOfUser(`other ${time}`)), 'token')
  }
})

t.test('a store that processes share', async t => {
  type Obtain = SharedTokens['obtain']
  type Renew = SharedTokens['renew']
  const neverRenewed: Renew = () => Promise.reject(new Error('renewed'))
  function sharing (obtain: Obtain, renew = neverRenewed) {
    const kept: string[] = []
    const shared = { obtain, renew, keep: (_: unknown, token: Token) => { kept.push(token.accessToken) }, close: async () => {} }
    return { kept, given: { shared: shared as unknown as SharedTokens } }
  }

  t.test('gives a token', async t => {
    const world = engineOf(sharing(async () => ({ token: tokenOf('shared', Date.now()), source: 'distributed-cache' })).given)
    t.match(await world.engine.acquire(request), { token: { accessToken: 'shared' }, source: 'distributed-cache' })
    t.match(await world.engine.acquire(request), { token: { accessToken: 'shared' }, source: 'cache' })
    t.equal(world.provider.requests.length, 0)
  })

  t.test('asks the identity provider when it has none', async t => {
    const { acquire } = engineOf(sharing(async (_, { ask }) => ({ token: await ask(), source: 'identity-provider' })).given)
    t.equal(await acquire(request), 'token 1')
  })

  t.test('is waited for when the engine closes', async t => {
    const written = pending<void>()
    const { given } = sharing(() => Promise.reject(new Error('asked')))
    let isClosed = false
    const { clock, engine } = engineOf({ shared: Object.assign(given.shared, { close: () => written.promise }) })
    const closed = engine.close().then(() => { isClosed = true })
    await clock.advance(0)
    t.notOk(isClosed)
    written.resolve()
    await closed
  })

  t.test('is not asked for a forced token, but given it', async t => {
    const { kept, given } = sharing(() => Promise.reject(new Error('asked')))
    const { acquire } = engineOf(given)
    t.equal(await acquire(request, forced), 'token 1')
    t.strictSame(kept, ['token 1'])
  })

  t.test('is given a forced token only where none came that was asked for later', async t => {
    const { kept, given } = sharing(() => Promise.reject(new Error('asked')))
    const { provider, acquire } = engineOf(given)
    const older = pending<Token>()
    provider.answers.push(() => older.promise, tokenOf('newer', Date.now()))
    const slow = acquire(requestOfApp({ claims: 'a' }))
    t.equal(await acquire(request, forced), 'newer')
    older.resolve(tokenOf('older', Date.now()))
    t.equal(await slow, 'older')
    t.strictSame(kept, ['newer'])
  })

  t.test('is told whether a token that it asked for is still the newest', async t => {
    const told: boolean[] = []
    const older = pending<Token>()
    const { kept, given } = sharing(async (_, { ask, isNewest }) => {
      told.push(isNewest())
      const token = await ask()
      told.push(isNewest())
      return { token, source: 'identity-provider' }
    })
    const { provider, acquire } = engineOf(given)
    provider.answers.push(() => older.promise)
    const slow = acquire(request)
    t.equal(await acquire(request, forced), 'token 1')
    older.resolve(tokenOf('older', Date.now()))
    t.equal(await slow, 'older')
    t.strictSame([told, kept], [[true, false], ['token 1']])
    t.equal(await acquire(request), 'token 1')
  })

  t.test('lets a renewal ask the identity provider, and is told that what it gave is the newest', async t => {
    const told: boolean[] = []
    const obtain: Obtain = async (_, { ask }) => ({ token: await ask(), source: 'identity-provider' })
    const renew: Renew = async (_, { ask, isNewest }) => {
      const token = await ask()
      told.push(isNewest())
      return { token, source: 'identity-provider' }
    }
    const { clock, provider, acquire } = engineOf(sharing(obtain, renew).given)
    provider.answers.push(tokenOf('old', clock.now(), HOUR, HOUR / 2))
    t.equal(await acquire(request), 'old')

    await clock.advance(HOUR / 2)
    t.equal(await acquire(request), 'old')
    await clock.advance(0)

    t.equal(await acquire(request), 'token 1')
    t.strictSame(told, [true])
  })

  t.test('leaves a renewal to another process, looks again two seconds later, and after two fruitless looks needs no lease', async t => {
    const looks: [due: string, needsLease: boolean, at: number][] = []
    const obtain: Obtain = async () => ({ token: tokenOf('old', clock.now(), HOUR, HOUR / 2), source: 'identity-provider' })
    const renew: Renew = async (_, { due, needsLease }) => {
      looks.push([due.accessToken, needsLease, clock.elapsed() - HOUR / 2])
      if (looks.length === 3) throw refusal()
      return needsLease ? 'theirs' : { token: tokenOf('new', clock.now()), source: 'identity-provider' }
    }
    const { clock, acquire, lines } = engineOf(sharing(obtain, renew).given)
    await acquire(request)
    await clock.advance(HOUR / 2)
    for (let second = 0; second < 12; second++) {
      await acquire(request)
      await clock.advance(1000)
    }
    t.equal(await acquire(request), 'new')
    t.strictSame(looks, [['old', true, 0], ['old', true, 2000], ['old', false, 4000], ['old', true, 5000], ['old', true, 7000], ['old', false, 9000]], 'a failure begins anew')
    t.equal(lines.length, 1)
  })

  t.test('a caller who has joined a renewal that was left to another process acquires, once the token has ended', async t => {
    const answer = pending<'theirs'>()
    let calls = 0
    const obtain: Obtain = async () => ({ token: tokenOf(++calls === 1 ? 'old' : 'new', clock.now()), source: 'distributed-cache' })
    const { clock, acquire } = engineOf(sharing(obtain, () => answer.promise).given)
    await acquire(request)
    await clock.advance(HOUR - 6000)
    t.equal(await acquire(request), 'old')
    await clock.advance(6000)
    const joined = [acquire(request), acquire(request)]
    answer.resolve('theirs')
    t.strictSame(await Promise.all(joined), ['new', 'new'])
    t.equal(calls, 2)
  })
})

t.test('diagnostics say of every token what is known, and nothing of the token or the user', async t => {
  const { clock, provider, engine, acquire } = engineOf()
  const renewal = pending<Token>()
  const description = { flow: 'clientCredentials', api: 'MyWebApi', scopes: ['api://todo/.default'], tenantId: 'contoso', clientId: 'client', identity: 'client-credential' }
  const none = { expiresOn: undefined, nextRenewalOn: undefined, lastError: undefined, hits: 0, joins: 0, source: undefined }
  const first = pending<Token>()
  provider.answers.push(() => first.promise)
  const calls = [acquire(request), acquire(request), acquire(request)]
  await clock.advance(0)
  t.strictSame(engine.diagnostics(), [{ ...description, ...none, state: 'acquiring' }])

  first.resolve(tokenOf('a secret token', clock.now(), HOUR, HOUR / 2))
  await Promise.all(calls)
  await acquire(request)
  const times = { expiresOn: new Date(clock.now() + HOUR), nextRenewalOn: new Date(clock.now() + HOUR / 2) }
  t.strictSame(engine.diagnostics(), [{ ...description, ...times, state: 'fresh', lastError: undefined, hits: 1, joins: 2, source: 'identity-provider' }])

  await clock.advance(HOUR / 2)
  t.match(engine.diagnostics(), [{ state: 'due' }])
  provider.answers.push(() => renewal.promise)
  await acquire(request)
  t.match(engine.diagnostics(), [{ state: 'renewing', hits: 2 }])
  renewal.reject(refusal())
  await clock.advance(0)
  t.match(engine.diagnostics(), [{ state: 'fresh', lastError: { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', message: 'refused' }, nextRenewalOn: new Date(clock.now() + 1000) }])
  await clock.advance(HOUR)
  t.match(engine.diagnostics(), [{ state: 'expired' }])

  provider.answers.push(refusal(), refusal())
  await t.rejects(acquire(request))
  t.match(engine.diagnostics(), [{ state: 'expired' }], 'once for each')
  await t.rejects(acquire(requestOfUser('the assertion of a user')))
  await acquire(requestOfMachine())
  t.match(engine.diagnostics(), [
    { flow: 'managedIdentity', identity: 'managed-identity', api: undefined, clientId: undefined, state: 'fresh' },
    { flow: 'onBehalfOf', identity: 'user', ...none, lastError: { message: 'refused' }, state: 'failed' },
    { flow: 'clientCredentials', ...none, lastError: { message: 'refused' }, state: 'failed' },
  ])

  provider.answers.push(new TypeError('a bug'))
  await t.rejects(acquire(requestOfApp({ scope: 'odd' })))
  t.match(engine.diagnostics().find(({ scopes }) => scopes[0] === 'odd'), { lastError: { code: undefined, message: 'a bug' } })
  const all = engine.diagnostics()
  t.ok(Object.isFrozen(all) && all.every(item => Object.isFrozen(item) && Object.isFrozen(item.lastError ?? Object.freeze({}))))
  t.notMatch(inspect(all, { depth: 9, showHidden: true, getters: true }), /secret token|assertion of a user/)
})

t.test('diagnostics show a token as renewing while another is wanted in its place', async t => {
  for (const [wanted, options] of [[request, forced], [requestOfApp({ claims: '{"a":1}' }), {}]] as const) {
    const { clock, provider, engine, acquire } = await engineWithToken()
    const answer = pending<Token>()
    provider.answers.push(() => answer.promise)
    const call = acquire(wanted, options)
    await clock.advance(0)
    t.match(engine.diagnostics(), [{ state: 'renewing' }])
    answer.resolve(provider.token())
    await call
    t.match(engine.diagnostics(), [{ state: 'fresh' }])
  }
})

t.test('a request that fails, and then succeeds, is no failed one any more', async t => {
  const { provider, acquire, engine } = engineOf()
  provider.answers.push(refusal())
  await t.rejects(acquire(request))
  t.match(engine.diagnostics(), [{ state: 'failed' }])
  await acquire(request)
  t.match(engine.diagnostics(), [{ state: 'fresh', lastError: undefined }])
  t.equal(engine.diagnostics().length, 1)
})

t.test('what happens is told on the channels, without the token', async t => {
  const told: [string, TokenEvent][] = []
  for (const [name, channel] of Object.entries(tokenChannels)) {
    const note = (message: unknown) => { told.push([name, message as TokenEvent]) }
    subscribe(channel, note)
    t.teardown(() => unsubscribe(channel, note))
  }
  const { clock, provider, acquire } = engineOf()
  provider.answers.push(provider.token(HOUR, HOUR / 2), refusal())

  await acquire(request)
  await acquire(request)
  await clock.advance(HOUR / 2)
  await acquire(request)
  await clock.advance(0)

  t.strictSame(told.map(([name]) => name), ['acquisitionStart', 'acquisitionEnd', 'hit', 'renewal', 'hit', 'acquisitionStart', 'failure'])
  t.strictSame(told[0]![1], request.description)
  t.match(told[1]![1], { source: 'identity-provider' })
  t.match(told.at(-1)![1], { error: { message: 'refused' } })
  t.notMatch(inspect(told, { depth: 9, showHidden: true, getters: true }), /token 1/)
})

t.test('a token shows itself to nobody who does not ask for it', async t => {
  const token = tokenOf('a secret token', 0)
  t.equal(token.accessToken, 'a secret token')
  t.equal(token.authorizationHeader, 'Bearer a secret token')
  t.notMatch(`${inspect(token, { depth: 9, showHidden: true })}${JSON.stringify(token)}${String(token)}`, /secret/)
  t.ok(Object.isFrozen(token))
})

t.test('no rejection was left unhandled', async t => {
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(unhandled, [])
})

t.test('what is under way when a caller is forgotten is given to those who wait, and not kept: neither here nor in the store', async t => {
  const { clock, provider, engine, acquire } = engineOf()
  const store = new MemoryStore(clock)
  const shared = new SharedTokens({ store, cipher, sharesManagedIdentities: false, clock, random: () => 0, logger: loggerOf([]) })
  const sharing = engineOf({ shared, clock, ask: provider.ask })
  const prepared = requestOfUser('alice')
  const suffix = suffixOf(prepared.key)!
  for (const [where, of, options] of [['here', { engine, acquire }, {}], ['another one than is at hand', { engine, acquire }, { forceRefresh: true }], ['in the store', sharing, {}]] as const) {
    const answer = pending<Token>()
    const asked = pending<void>()
    provider.answers.push(() => { asked.resolve(); return answer.promise })
    const underWay = of.acquire(prepared, options)
    await asked.promise
    await of.engine.forget(suffix)
    answer.resolve(provider.token())
    t.match(await underWay, /^token/, where)
    await settle()
    t.strictSame(of.engine.diagnostics(), [], where)
    t.equal(of.engine.atHand(prepared), undefined, where)
  }
  t.strictSame(store.namesOf('token'), [])

  await acquire(prepared)
  t.ok(engine.atHand(prepared), 'what is asked for after that is kept')
})
