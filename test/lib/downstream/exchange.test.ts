import t from 'tap'
import { buffer } from 'node:stream/consumers'
import type { Dispatcher } from 'undici'
import { Exchange, type ExchangeOptions } from '../../../lib/downstream/exchange.ts'
import { RawHandler } from '../../../lib/downstream/raw-handler.ts'

/** What a dispatcher would do to an exchange, step by step. */
function exchangeOf (t: { teardown (work: () => unknown): unknown }, options: Partial<ExchangeOptions> = {}) {
  const log: string[] = []
  const failures: unknown[] = []
  const controller: Dispatcher.DispatchController = {
    aborted: false,
    paused: false,
    reason: null,
    abort: () => { log.push('abort') },
    pause: () => { log.push('pause') },
    resume: () => { log.push('resume') },
  }
  const exchange = new Exchange({ name: 'Api', timeout: 60_000, signals: [], onAnswer: () => { log.push('answer') }, onFailure: error => { failures.push(error) }, ...options })
  t.teardown(() => exchange.end(new Error('the test is over')))
  return { exchange, controller, log, failures, whole: (limit?: number) => new Promise<[unknown, string]>(resolve => exchange.takeWhole((error, body) => resolve([error, body.toString()]), limit)) }
}

function answered (t: { teardown (work: () => unknown): unknown }) {
  const world = exchangeOf(t)
  world.exchange.onRequestStart(world.controller)
  world.exchange.onResponseStart(world.controller, 200, {})
  world.log.length = 0
  return world
}

t.test('a body that nobody has asked for is held back, and goes on when it is asked for', async t => {
  const { exchange, controller, log, whole } = answered(t)

  exchange.onResponseData(controller, Buffer.alloc(65_535, 'a'))
  t.strictSame(log, [])
  exchange.onResponseData(controller, Buffer.from('b'))
  t.strictSame(log, ['pause'])

  const body = whole()
  t.strictSame(log, ['pause', 'resume'])
  exchange.onResponseData(controller, Buffer.from('c'))
  exchange.onResponseEnd()
  t.match(await body, [undefined, /^a+bc$/])
})

t.test('the body is given once it is there, however early it was', async t => {
  const { exchange, controller, whole } = answered(t)
  exchange.onResponseData(controller, Buffer.from('a'))
  exchange.onResponseEnd()
  t.strictSame(await whole(), [undefined, 'a'])
  t.equal(exchange.taken, 'whole')
})

t.test('a limit gives up the rest of the body, whether it has come or not', async t => {
  const early = answered(t)
  early.exchange.onResponseData(early.controller, Buffer.from('abc'))
  t.strictSame(await early.whole(2), [undefined, 'abc'])
  t.strictSame(early.log, ['abort'])

  const late = answered(t)
  const body = late.whole(2)
  late.exchange.onResponseData(late.controller, Buffer.from('abc'))
  t.strictSame(await body, [undefined, 'abc'])
  t.strictSame(late.log, ['resume', 'abort'])
  late.exchange.onResponseData(late.controller, Buffer.from('d'))
  late.exchange.onResponseEnd()
  late.exchange.onResponseError(undefined, new Error('aborted'))
})

t.test('what breaks off before anybody reads it fails the one who does', async t => {
  const asWhole = answered(t)
  asWhole.exchange.onResponseData(asWhole.controller, Buffer.from('half'))
  asWhole.exchange.onResponseError(asWhole.controller, new Error('broken'))
  t.match(await asWhole.whole(), [{ code: 'FST_IDW_DOWNSTREAM_UNREACHABLE' }, 'half'])

  const asStream = answered(t)
  asStream.exchange.onResponseError(asStream.controller, new Error('broken'))
  await t.rejects(buffer(asStream.exchange.takeStream()), { code: 'FST_IDW_DOWNSTREAM_UNREACHABLE' })
})

t.test('a stream gives what came before and what comes after, and holds back when its reader is slow', async t => {
  const { exchange, controller, log } = answered(t)
  exchange.onResponseData(controller, Buffer.from('a'))
  const stream = exchange.takeStream()
  t.equal(exchange.takeStream(), stream)
  exchange.onResponseData(controller, Buffer.alloc(100_000, 'b'))
  t.ok(log.includes('pause'))
  exchange.onResponseEnd()
  t.match((await buffer(stream)).toString(), /^ab+$/)

  const whole = answered(t)
  whole.exchange.onResponseData(whole.controller, Buffer.from('a'))
  whole.exchange.onResponseEnd()
  t.equal((await buffer(whole.exchange.takeStream())).toString(), 'a')
})

t.test('what was ended before it began is not begun', async t => {
  const reason = new Error('gone')
  const aborted = exchangeOf(t, { signals: [AbortSignal.abort(reason)] })
  t.strictSame(aborted.failures, [reason])
  t.ok(aborted.exchange.isOver)
  t.equal(aborted.exchange.signal.reason, reason, 'also for those who ask later')
  aborted.exchange.onRequestStart(aborted.controller)
  t.strictSame(aborted.log, ['abort'])
})

t.test('an abort ends what is under way, tells once, and is forgotten by the signal afterwards', async t => {
  const caller = new AbortController()
  const { exchange, controller, failures, log } = exchangeOf(t, { signals: [caller.signal] })
  const ending = exchange.signal
  exchange.onRequestStart(controller)

  caller.abort(new Error('gone'))
  exchange.onResponseError(controller, new Error('late'))
  exchange.end(new Error('late'))
  exchange.onResponseStart(controller, 200, {})

  t.match(failures, [{ message: 'gone' }])
  t.match(ending.reason, { message: 'gone' })
  t.strictSame(log, ['abort'])
})

t.test('a body that stops coming is given up after its own time, not that of the call', async t => {
  const { exchange, controller, whole } = answered(t)
  exchange.waitForBody()
  const body = whole()
  exchange.timeOut()
  exchange.onResponseData(controller, Buffer.from('a'))
  exchange.timeOut()
  t.match(await body, [{ code: 'FST_IDW_DOWNSTREAM_TIMEOUT', message: /300000 ms/ }, 'a'])
})

t.test('a reader who takes time is waited for: only what the API does not send is missed', async t => {
  const { exchange, controller, log } = answered(t)
  exchange.waitForBody()
  exchange.timeOut()
  const stream = exchange.takeStream()
  exchange.onResponseData(controller, Buffer.alloc(100_000, 'b'))
  t.ok(log.includes('pause'))

  exchange.timeOut()
  t.notOk(exchange.isOver)

  stream.resume()
  await new Promise(resolve => stream.once('data', resolve))
  t.equal(log.at(-1), 'resume')
  exchange.timeOut()
  t.ok(exchange.isOver)
})

t.test('a stream fails with an error whatever the reason of the signal is', async t => {
  for (const reason of [null, 0, false, 'text']) {
    const caller = new AbortController()
    const { exchange, controller } = exchangeOf(t, { signals: [caller.signal] })
    exchange.onRequestStart(controller)
    exchange.onResponseStart(controller, 200, {})
    const read = buffer(exchange.takeStream())
    caller.abort(reason)
    await t.rejects(read, { message: 'the call was ended', cause: reason } as never)
  }
})

t.test('of two signals, an aborted one leaves nothing with the other', async t => {
  const lasting = new AbortController()
  let listeners = 0
  lasting.signal.addEventListener = () => { listeners++ }
  exchangeOf(t, { signals: [AbortSignal.abort(), lasting.signal] })
  exchangeOf(t, { signals: [lasting.signal, AbortSignal.abort()] })
  t.equal(listeners, 0)
})

t.test('the raw way of undici\'s clients is passed on as it is', async t => {
  const { exchange, log, whole } = exchangeOf(t)
  const raw = new RawHandler(exchange)
  const aborts: Error[] = []
  let resumed = 0

  raw.onConnect(reason => { aborts.push(reason) })
  t.equal(raw.onHeaders(200, [Buffer.from('Content-Type'), Buffer.from('a/b')], () => { resumed++ }), true)
  t.equal(raw.onData(Buffer.alloc(70_000)), false, 'nobody has asked for it')
  const body = whole()
  raw.resume()
  t.equal(resumed, 1, 'once')
  t.equal(raw.onData(Buffer.from('b')), true)
  raw.onComplete()
  t.match(await body, [undefined, /b$/])
  t.strictSame(log, ['answer'])

  const broken = exchangeOf(t)
  const rawBroken = new RawHandler(broken.exchange)
  rawBroken.onConnect(reason => { aborts.push(reason) })
  rawBroken.onError(new Error('broken'))
  t.match(broken.failures, [{ code: 'FST_IDW_DOWNSTREAM_UNREACHABLE' }])
  rawBroken.abort(new Error('why'))
  t.match(aborts, [{ message: 'why' }])
})
