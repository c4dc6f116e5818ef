import t from 'tap'
import fc from 'fast-check'
import { TokenAcquisitionError } from '../../../lib/errors.ts'
import { TokenEngine } from '../../../lib/tokens/token-engine.ts'
import { tokenKey, type TokenRequest } from '../../../lib/tokens/token-request.ts'
import { untilAborted } from '../../../lib/until-aborted.ts'
import type { Token } from '../../../lib/tokens/token.ts'
import { fault, refusal, requestOfApp, requestOfUser, tokenOf } from '../../fixtures/engine.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'
import { loggerOf } from '../../fixtures/identity-web.ts'

const LIFE = 600_000

const step = fc.record({
  tenant: fc.constantFrom('contoso', 'fabrikam'),
  user: fc.constantFrom(undefined, 'alice', 'bob', 'carol'),
  forceRefresh: fc.boolean(),
  claims: fc.constantFrom(undefined, undefined, undefined, '{"a":1}'),
  outcome: fc.constantFrom('token', 'token', 'token', 'refusal', 'fault', 'throttled', 'silence'),
  /** Milliseconds until the provider answers. */
  latency: fc.constantFrom(0, 1, 50, 3000),
  /** Milliseconds until the caller gives up. */
  patience: fc.constantFrom(undefined, undefined, 0, 10),
  /** Milliseconds until the next call. */
  pause: fc.constantFrom(0, 0, 0, 5, 500, 20_000, LIFE / 2, 2 * LIFE),
  /** Milliseconds by which somebody sets the clock. */
  jump: fc.constantFrom(0, 0, 0, 0, LIFE, -LIFE),
})

/** Whose the token is that a request asks for. */
function subjectOf (request: TokenRequest): string {
  if (request.flow === 'managedIdentity') return 'the machine'
  return JSON.stringify([request.authority.tenantId, request.flow === 'onBehalfOf' ? request.userAssertion : null])
}

t.setTimeout(120_000)

t.test('users and tenants are never mixed, whatever fails, whoever gives up and whatever the clock does', async t => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 8 }), async (steps, chance, maxEntries) => {
    const clock = new FakeClock()
    const running = new Map<string, number>()
    const gone = new Error('gone')
    let next: Pick<typeof steps[number], 'outcome' | 'latency'> = { outcome: 'token', latency: 0 }
    const ask = async (request: TokenRequest, signal: AbortSignal): Promise<Token> => {
      const { outcome, latency } = next
      const key = tokenKey(request)
      running.set(key, (running.get(key) ?? 0) + 1)
      // One for those who want any token, and one for those who force it.
      if (running.get(key)! > 2) throw new Error(`asked ${running.get(key)} times at a time`)
      try {
        await untilAborted(new Promise<void>(resolve => { if (outcome !== 'silence') clock.after(latency, resolve) }), signal)
      } finally {
        running.set(key, running.get(key)! - 1)
      }
      if (outcome === 'token') return tokenOf(subjectOf(request), clock.now(), LIFE)
      throw Object.assign(outcome === 'refusal' ? refusal() : fault(outcome === 'throttled' ? { status: 429, retryAfter: 2 } : {}), { subject: subjectOf(request) })
    }
    const engine = new TokenEngine({ maxEntries, tokenTimeout: 10_000, ask, shared: undefined, clock, random: () => chance, logger: loggerOf([]) })

    const calls: Promise<void>[] = []
    for (const { tenant, user, forceRefresh, claims, outcome, latency, patience, pause, jump } of steps) {
      next = { outcome, latency }
      const given = { tenant, ...claims !== undefined && { claims } }
      const prepared = user === undefined ? requestOfApp(given) : requestOfUser(user, given)
      const subject = subjectOf(prepared.request)
      const leaver = new AbortController()
      if (patience !== undefined) clock.after(patience, () => leaver.abort(gone))

      calls.push(engine.acquire(prepared, { forceRefresh, signal: leaver.signal }).then(({ token }) => {
        if (token.accessToken !== subject) throw new Error(`${subject} was given the token of ${token.accessToken}`)
      }, (error: unknown) => {
        if (error === gone && patience !== undefined) return
        if (!(error instanceof TokenAcquisitionError)) throw error
        const whose = (error as { subject?: string }).subject
        if (whose !== undefined && whose !== subject) throw new Error(`${subject} was given the error of ${whose}`)
      }))
      await clock.advance(pause)
      clock.setWall(clock.now() + jump)
    }
    await clock.advance(60_000)
    await Promise.all(calls)
    await engine.close()
  }), { numRuns: 300 })
  t.pass('in 300 schedules')
})
