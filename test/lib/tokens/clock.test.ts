import t from 'tap'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { endsWithin, pause, systemClock } from '../../../lib/tokens/clock.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'

t.test('the clocks of this machine', async t => {
  t.ok(Math.abs(systemClock.now() - Date.now()) < 1000)
  t.ok(systemClock.elapsed() >= 0)
  const ran: string[] = []
  systemClock.after(0, () => ran.push('taken back'))()
  await new Promise<void>(resolve => { systemClock.after(1, resolve) })
  t.strictSame(ran, [])
})

t.test('a process that was busy looks at what has come before it says that nothing came in time', async t => {
  const server = createServer(socket => socket.write('in time'))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(() => { socket.destroy(); server.close() })
  await once(socket, 'connect')

  const outcome = endsWithin(systemClock, 50, once(socket, 'data'))
  await new Promise(resolve => setImmediate(resolve))
  for (const until = performance.now() + 100; performance.now() < until;);

  t.equal(await outcome, true)
})

t.test('what is taken back after its time, and before its turn, does not run', async t => {
  const ran: string[] = []
  const takeBack = systemClock.after(0, () => ran.push('ran'))
  await new Promise(resolve => setTimeout(resolve, 2))
  const again = systemClock.after(0, () => ran.push('ran again'))
  await new Promise<void>(resolve => { setTimeout(() => { again(); resolve() }, 0) })
  takeBack()
  t.strictSame(ran, ['ran'])
})

t.test('a pause ends when its time has come', async t => {
  const clock = new FakeClock()
  let isOver = false
  const paused = pause(clock, 100, new AbortController().signal).then(() => { isOver = true })
  await clock.advance(99)
  t.notOk(isOver)
  await clock.advance(1)
  await paused
})

t.test('a pause ends with the signal\'s reason, and leaves neither timer nor listener', async t => {
  const clock = new FakeClock()
  const controller = new AbortController()
  const paused = t.rejects(pause(clock, 100, controller.signal), { message: 'gone' })
  controller.abort(new Error('gone'))
  await paused
  await t.rejects(pause(clock, 100, controller.signal), { message: 'gone' })
  await clock.advance(1000)
})

t.test('work that takes longer than its limit is told so, and its failure afterwards troubles nobody', async t => {
  const clock = new FakeClock()
  let fail!: (reason: unknown) => void
  const work = new Promise<string>((...settle) => { fail = settle[1] })
  const ended = endsWithin(clock, 100, work)
  await clock.advance(100)
  t.equal(await ended, false)
  fail(new Error('later still'))
  await clock.advance(0)
  t.equal(await endsWithin(clock, 100, Promise.resolve('done')), true)
  t.equal(await endsWithin(clock, 100, work), true, 'a failure is an end')
})
