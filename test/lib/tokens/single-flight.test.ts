import t from 'tap'
import { SingleFlight, untilAborted } from '../../../lib/tokens/single-flight.ts'

const noDeadline = () => new SingleFlight<string>(2 ** 31 - 1, () => new Error('unused'))

t.test('callers that arrive while work runs share its outcome', async t => {
  const flights = noDeadline()
  let runs = 0
  const work = async () => { runs++; return 'token' }

  const outcomes = await Promise.all(Array.from({ length: 1000 }, () => flights.run('key', work)))

  t.equal(runs, 1)
  t.strictSame(new Set(outcomes), new Set(['token']))
})

t.test('different keys run apart, and a key runs anew once its work has ended, also when it failed', async t => {
  const flights = noDeadline()
  const runs: string[] = []
  const work = (name: string) => async () => { runs.push(name); throw new Error(name) }

  await t.rejects(Promise.all([flights.run('a', work('a1')), flights.run('b', work('b1'))]))
  await t.rejects(flights.run('a', work('a2')), { message: 'a2' })

  t.strictSame(runs, ['a1', 'b1', 'a2'])
})

t.test('work that takes longer than the deadline is aborted, and its callers get the reason', async t => {
  const reason = new Error('too late')
  const flights = new SingleFlight<string>(1, () => reason)
  let signal: AbortSignal | undefined

  await t.rejects(flights.run('key', given => { signal = given; return new Promise(() => {}) }), reason)

  t.equal(signal?.reason, reason)
})

t.test('abortAll ends all work, also work that does not listen', async t => {
  const flights = noDeadline()
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
  const flights = noDeadline()
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
  const flights = noDeadline()
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
