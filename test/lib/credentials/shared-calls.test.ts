import t from 'tap'
import { SharedCalls } from '../../../lib/credentials/shared-calls.ts'
import { pending } from '../../fixtures/engine.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'

const { signal } = new AbortController()

function callsOf () {
  const clock = new FakeClock()
  const calls = new SharedCalls<string>(clock)
  const started: { key: string, signal: AbortSignal, settle: ReturnType<typeof pending<string>> }[] = []
  const join = (key: string, given: { limit?: number, signal?: AbortSignal } = {}) => calls.join(key, given.limit ?? 1_000, given.signal ?? signal, signal => {
    const settle = pending<string>()
    started.push({ key, signal, settle })
    return settle.promise
  })
  return { clock, join, started }
}

t.test('callers with one key share one call, and callers with another have their own', async t => {
  const { join, started } = callsOf()
  const waiting = [join('a'), join('a'), join('b')]
  started[0]?.settle.resolve('of a')
  started[1]?.settle.resolve('of b')

  t.strictSame(await Promise.all(waiting), ['of a', 'of a', 'of b'])
  t.ok(started.every(({ signal }) => !signal.aborted), 'what has ended is not ended again')
})

t.test('who comes after the end of a call makes another, whatever came of the first', async t => {
  const { join, started } = callsOf()
  const first = join('a')
  started[0]?.settle.reject(new Error('no'))
  await t.rejects(first, { message: 'no' })

  const second = join('a')
  started[1]?.settle.resolve('yes')
  t.equal(await second, 'yes')
})

t.test('a caller who goes does not end the call of those who stay; the last one does', async t => {
  const { join, started, clock } = callsOf()
  const leaving = new AbortController()
  const [gone, staying] = [join('a', { signal: leaving.signal }), join('a')]
  leaving.abort(new Error('gone'))
  await t.rejects(gone, { message: 'gone' })
  t.notOk(started[0]?.signal.aborted)

  clock.tick(1_000)
  await t.rejects(staying, { message: 'it took longer than 1000 ms' })
  t.ok(started[0]?.signal.aborted)
  t.equal(clock.timers, 0)
})

t.test('who comes after the last has gone makes another call, which the end of the first leaves alone', async t => {
  const { join, started, clock } = callsOf()
  const first = join('a')
  clock.tick(1_000)
  await t.rejects(first)

  const second = join('a')
  started[0]?.settle.resolve('late')
  await Promise.resolve()
  const third = join('a')
  started[1]?.settle.resolve('in time')
  t.strictSame(await Promise.all([second, third]), ['in time', 'in time'])
  t.equal(started.length, 2)
})
