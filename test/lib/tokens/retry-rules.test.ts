import t from 'tap'
import { ChallengeUserError } from '../../../lib/errors.ts'
import { isTransientStatus, retrying, retryRules, type Provider } from '../../../lib/tokens/retry-rules.ts'
import { fault, refusal } from '../../fixtures/engine.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'

/** When the attempts are made, and what comes of them. */
async function run (provider: Provider, outcomes: (string | Error)[], { deadline = Infinity, random = () => 0 }: { deadline?: number, random?: () => number } = {}) {
  const clock = new FakeClock()
  const times: number[] = []
  const outcome = retrying(provider, async () => {
    times.push(clock.elapsed())
    const next = outcomes.length > 1 ? outcomes.shift()! : outcomes[0]!
    if (next instanceof Error) throw next
    return next
  }, { clock, random, deadline, signal: new AbortController().signal }).catch((error: unknown) => error)
  await clock.advance(60_000)
  return { times, outcome: await outcome }
}

t.test('what may pass is 5xx, and what the rules name', async t => {
  const statuses = [200, 302, 400, 401, 403, 404, 408, 409, 410, 429, 499, 500, 503, 599]
  t.strictSame(statuses.filter(status => isTransientStatus('entra-id', status)), [408, 429, 500, 503, 599])
  t.strictSame(statuses.filter(status => isTransientStatus('managed-identity', status)), [404, 408, 410, 429, 500, 503, 599])
})

t.test('what may pass is asked for again, with delays that double, as often as the rules have it', async t => {
  const last = fault()
  const { times, outcome } = await run('entra-id', [fault(), fault(), last])
  t.strictSame(times, [0, 125, 375])
  t.equal(outcome, last)
  t.strictSame((await run('managed-identity', [fault()])).times, [0, 250, 750, 1750, 3750, 7750])
  t.strictSame((await run('entra-id', [fault()], { random: () => 1 })).times, [0, 250, 750])
  t.equal(retryRules['entra-id'].attempts, 3)
  t.equal(retryRules['managed-identity'].attempts, 6)
})

t.test('the first success ends it', async t => {
  t.strictSame(await run('entra-id', [fault({ status: undefined }), 'token', fault()]), { times: [0, 125], outcome: 'token' })
})

t.test('a refusal, and what is no failed acquisition, is never repeated', async t => {
  for (const error of [refusal(), refusal({ retryAfter: 1 }), new ChallengeUserError('sign in', { wwwAuthenticate: 'Bearer', scopes: [] }), new TypeError('a bug')]) {
    const { times, outcome } = await run('entra-id', [error])
    t.strictSame(times, [0])
    t.equal(outcome, error)
  }
  t.strictSame((await run('entra-id', [fault(), refusal(), fault()])).times, [0, 125])
})

t.test('Retry-After goes before the delays', async t => {
  t.strictSame((await run('entra-id', [fault({ retryAfter: 2 })])).times, [0, 2000, 4000])
  t.strictSame((await run('entra-id', [fault({ retryAfter: 2 })], { random: () => 1 })).times, [0, 2250, 4500])
  t.strictSame((await run('entra-id', [fault({ retryAfter: 0 })])).times, [0, 0, 0])
})

t.test('nothing is waited for that outlasts the deadline', async t => {
  t.strictSame((await run('managed-identity', [fault()], { deadline: 1750 })).times, [0, 250, 750])
  t.strictSame((await run('managed-identity', [fault()], { deadline: 1751 })).times, [0, 250, 750, 1750])
  t.strictSame((await run('entra-id', [fault({ retryAfter: 3600 })], { deadline: 10_000 })).times, [0])
})

t.test('an abort ends it: between two attempts at once, and in an attempt with what that threw', async t => {
  const clock = new FakeClock()
  const controller = new AbortController()
  const context = { clock, random: () => 0, deadline: Infinity, signal: controller.signal }
  let attempts = 0
  const outcome = t.rejects(retrying('entra-id', async () => { attempts++; throw fault() }, context), { message: 'closing' })
  await clock.advance(100)
  controller.abort(new Error('closing'))
  await outcome
  await clock.advance(1000)
  t.equal(attempts, 1)
  await t.rejects(retrying('entra-id', async () => { attempts++; throw fault() }, context), { message: 'busy' })
  t.equal(attempts, 2)
})
