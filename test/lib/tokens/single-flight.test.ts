import t from 'tap'
import { SingleFlight, type FlightContext } from '../../../lib/tokens/single-flight.ts'
import { untilAborted } from '../../../lib/until-aborted.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'

type Work = (context: FlightContext) => Promise<string>

/** Flights whose deadline comes when the test lets time pass. */
function flightsOf (clock = new FakeClock()) {
  const flights = new SingleFlight<string>(clock, 1000)
  return {
    run: (key: string, work: Work) => flights.run(key, work, () => new Error('too late')),
    abortAll: (reason: unknown) => flights.abortAll(reason),
    has: (key: string) => flights.has(key),
  }
}

t.test('callers that arrive while work runs share its outcome', async t => {
  const flights = flightsOf()
  let runs = 0
  const work = async () => { runs++; return 'token' }

  const outcomes = await Promise.all(Array.from({ length: 1000 }, () => flights.run('key', work)))

  t.equal(runs, 1)
  t.strictSame(new Set(outcomes), new Set(['token']))
})

t.test('different keys run apart, and a key runs anew once its work has ended, also when it failed', async t => {
  const flights = flightsOf()
  const runs: string[] = []
  const work = (name: string) => async () => { runs.push(name); throw new Error(name) }

  await t.rejects(Promise.all([flights.run('a', work('a1')), flights.run('b', work('b1'))]))
  await t.rejects(flights.run('a', work('a2')), { message: 'a2' })

  t.strictSame(runs, ['a1', 'b1', 'a2'])
})

t.test('work that takes longer than the deadline is aborted, its callers get the reason, and the key runs anew', async t => {
  const clock = new FakeClock()
  const flights = flightsOf(clock)
  await clock.advance(5)
  let context: FlightContext | undefined
  const callers = [1, 2].map(() => flights.run('key', given => { context = given; return new Promise(() => {}) }))
  const outcomes = Promise.allSettled(callers)

  t.equal(context?.deadline, 1005)
  await clock.advance(999)
  t.notOk(context?.signal.aborted)
  t.ok(flights.has('key'))
  await clock.advance(1)

  t.match(await outcomes, [{ reason: { message: 'too late' } }, { reason: { message: 'too late' } }])
  t.match(context?.signal.reason, { message: 'too late' })
  t.notOk(flights.has('key'))
  t.equal(await flights.run('key', async () => 'token'), 'token')
})

t.test('work that has ended in time is not aborted afterwards', async t => {
  const clock = new FakeClock()
  let signal: AbortSignal | undefined
  await flightsOf(clock).run('key', async given => { signal = given.signal; return 'token' })
  await clock.advance(10_000)
  t.notOk(signal?.aborted)
})

t.test('work is told how many callers wait for it beside the one who started it', async t => {
  const flights = flightsOf()
  const gate = withResolvers<string>()
  const work: Work = async ({ joins }) => `${await gate.promise} ${joins()}`
  const calls = [flights.run('key', work), flights.run('key', work), flights.run('key', work), flights.run('other', work)]
  gate.resolve('token')
  t.strictSame(await Promise.all(calls), ['token 2', 'token 2', 'token 2', 'token 0'])
})

t.test('work that throws before it first waits fails like any other', async t => {
  const flights = flightsOf()
  await t.rejects(flights.run('key', () => { throw new Error('at once') }), { message: 'at once' })
  t.notOk(flights.has('key'))
})

t.test('abortAll ends all work, also work that does not listen', async t => {
  const flights = flightsOf()
  const running = [flights.run('a', () => new Promise(() => {})), flights.run('b', () => new Promise(() => {}))]
  const outcomes = Promise.allSettled(running)

  await flights.abortAll(new Error('closing'))

  t.match(await outcomes, [{ status: 'rejected', reason: { message: 'closing' } }, { status: 'rejected', reason: { message: 'closing' } }])
})

t.test('work whose callers have all gone fails without an unhandled rejection', async t => {
  const unhandled: unknown[] = []
  const note = (reason: unknown) => unhandled.push(reason)
  process.on('unhandledRejection', note)
  t.teardown(() => process.off('unhandledRejection', note))
  const flights = flightsOf()
  const caller = new AbortController()
  const work = withResolvers<string>()

  const call = untilAborted(flights.run('key', () => work.promise), caller.signal)
  caller.abort(new Error('gone'))
  await t.rejects(call, { message: 'gone' })
  work.reject(new Error('failed later'))
  await new Promise(resolve => setImmediate(resolve))

  t.strictSame(unhandled, [])
})

t.test('an abort detaches its own caller only', async t => {
  const flights = flightsOf()
  const work = withResolvers<string>()
  const leaver = new AbortController()
  const calls = [untilAborted(flights.run('key', () => work.promise), leaver.signal), ...Array.from({ length: 9 }, () => flights.run('key', () => work.promise))]
  const outcomes = Promise.allSettled(calls)

  leaver.abort(new Error('gone'))
  work.resolve('token')

  const [left, ...stayed] = await outcomes
  t.match(left, { status: 'rejected', reason: { message: 'gone' } })
  t.strictSame(stayed, Array.from({ length: 9 }, () => ({ status: 'fulfilled', value: 'token' })))
})

t.test('who has given up already gets nothing', async t => {
  await t.rejects(untilAborted(Promise.resolve('token'), AbortSignal.abort(new Error('gone'))), { message: 'gone' })
})

function withResolvers<T> () {
  let resolve!: (value: T) => void
  let reject!: (reason: unknown) => void
  const promise = new Promise<T>((...settle) => { [resolve, reject] = settle })
  return { promise, resolve, reject }
}
