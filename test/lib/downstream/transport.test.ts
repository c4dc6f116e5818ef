import t from 'tap'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import * as undici from 'undici'
import { Exchange } from '../../../lib/downstream/exchange.ts'
import { Transport, type WireRequest } from '../../../lib/downstream/transport.ts'
import { pending } from '../../fixtures/engine.ts'
import { answerJson, startRawServer } from '../../fixtures/raw-server.ts'

type Tap = Parameters<typeof startRawServer>[0]

/** A server, a transport to it whose undici comes when the test says so, and what became of the requests. */
async function transportTo (t: Tap, dispatcher?: undici.Dispatcher) {
  const { origin, requests } = await startRawServer(t, (_, response) => answerJson(response, 200, {}))
  const loading = pending<void>()
  const counts = { loads: 0, pools: 0 }
  class Pool extends undici.Pool {
    constructor (...args: ConstructorParameters<typeof undici.Pool>) {
      super(...args)
      counts.pools++
    }
  }
  const transport = new Transport(dispatcher, async () => {
    counts.loads++
    await loading.promise
    return { ...undici, Pool }
  })
  t.teardown(() => transport.close())
  const send = (given: Partial<WireRequest> = {}, timeout = 60_000) => {
    const outcome = pending<number>()
    const exchange = new Exchange({
      name: 'Api',
      timeout,
      signals: [],
      onAnswer: exchange => exchange.takeWhole(() => outcome.resolve(exchange.status)),
      onFailure: outcome.reject,
    })
    transport.send({ method: 'GET', origin, path: '/', headers: [], body: null, ...given }, { retry: 0 }, exchange)
    return { exchange, outcome: outcome.promise }
  }
  return { transport, send, requests, loading, counts }
}

t.test('the first requests wait for undici and share the connections, and later ones do not ask for it', async t => {
  const { send, requests, loading, counts } = await transportTo(t)
  const first = [send(), send()]
  t.strictSame([requests.length, counts], [0, { loads: 2, pools: 0 }])

  loading.resolve()

  t.strictSame(await Promise.all(first.map(({ outcome }) => outcome)), [200, 200])
  t.equal(await send().outcome, 200)
  t.strictSame([requests.length, counts], [3, { loads: 2, pools: 1 }])
})

t.test('what is over when undici has come is not sent', async t => {
  const { send, requests, loading, counts } = await transportTo(t)
  const { exchange, outcome } = send()
  const reason = new Error('gone')
  exchange.end(reason)
  await t.rejects(outcome, reason)

  loading.resolve()

  t.equal(await send().outcome, 200)
  t.strictSame([requests.length, counts.pools], [1, 1])
})

t.test('a body whose call is over before undici has come is closed', async t => {
  const calls = await Promise.all(Array.from({ length: 3 }, () => transportTo(t)))
  const bodies = calls.map(() => new Readable({ read () {} }))
  const [ended, closed, failed] = calls.map(({ send }, index) => send({ method: 'POST', body: bodies[index]! }))
  const reason = new Error('gone')

  ended!.exchange.end(reason)
  await calls[1]!.transport.close()
  for (const { loading } of calls.slice(0, 2)) loading.resolve()
  calls[2]!.loading.reject(reason)

  await t.rejects(ended!.outcome, reason)
  await t.rejects(closed!.outcome, /is closing/)
  await t.rejects(failed!.outcome, reason)
  await Promise.all(bodies.map(body => body.closed || once(body, 'close')))
})

t.test('what waits for undici when the transport is closed is not sent, and opens nothing', async t => {
  const { transport, send, requests, loading, counts } = await transportTo(t)
  const { outcome } = send()
  await transport.close()

  loading.resolve()

  await t.rejects(outcome, { code: 'FST_IDW_DOWNSTREAM_UNREACHABLE', message: /is closing/ })
  await t.rejects(send().outcome, { code: 'FST_IDW_DOWNSTREAM_UNREACHABLE', message: /is closing/ })
  t.strictSame([requests.length, counts.pools], [0, 0])
})

t.test('where undici cannot be loaded, the call ends with the reason, and the next one tries again', async t => {
  const { origin } = await startRawServer(t, (_, response) => answerJson(response, 200, {}))
  const reason = new Error('Cannot find package')
  let tries = 0
  const transport = new Transport(undefined, async () => {
    if (tries++ === 0) throw reason
    return undici
  })
  t.teardown(() => transport.close())
  const send = () => new Promise<Exchange>((resolve, reject) => {
    const exchange = new Exchange({ name: 'Api', timeout: 60_000, signals: [], onAnswer: resolve, onFailure: reject })
    transport.send({ method: 'GET', origin, path: '/', headers: [], body: null }, { retry: 0 }, exchange)
  })

  await t.rejects(send(), reason)
  const answered = await send()
  t.equal(answered.status, 200)
  answered.end(new Error('enough'))
})

t.test('a body that breaks off while undici is loaded fails its call only', async t => {
  const { send, loading } = await transportTo(t)
  const body = new Readable({ read () {} })
  const { outcome } = send({ method: 'POST', body })
  const broken = new Promise(resolve => { body.once('close', resolve) })
  body.destroy(new Error('no such file'))
  await broken

  loading.resolve()

  await t.rejects(outcome, { cause: { message: 'no such file' } })
})

t.test('a dispatcher of the user\'s needs no undici of ours, unless it is to carry a form', async t => {
  const agent = new undici.Agent()
  t.teardown(() => agent.destroy())
  const { send, requests, loading, counts } = await transportTo(t, agent)
  t.equal(await send().outcome, 200)
  t.equal(counts.loads, 0)

  loading.resolve()
  const form = new FormData()
  form.set('name', 'value')
  t.equal(await send({ method: 'POST', body: form }).outcome, 200)
  t.match(requests[1], { headers: { 'content-type': /^multipart\/form-data; boundary=/ }, body: /name="name"\r\n\r\nvalue/ })
  t.strictSame(counts, { loads: 1, pools: 0 })
})
