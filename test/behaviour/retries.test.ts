import t from 'tap'
import { Readable } from 'node:stream'
import type { ServerResponse } from 'node:http'
import { build } from '../fixtures/build.ts'
import { answerJson, startRawServer, type RawRequest } from '../fixtures/raw-server.ts'

type Tap = Parameters<typeof startRawServer>[0]
type Answer = (response: ServerResponse, request: RawRequest) => void

/** An API that gives the answers of the test, one a request, and then `{ "done": true }`. */
async function apiThat (t: Tap, answers: Answer[], options: object = {}) {
  const waiting = [...answers]
  const server = await startRawServer(t, (request, response) => {
    const answer = waiting.shift()
    if (answer) answer(response, request)
    else answerJson(response, 200, { done: true })
  })
  const app = await build(t, { downstreamApis: { Api: { baseUrl: server.origin, ...options } } })
  return { api: app.downstreamApi, requests: server.requests }
}

const status = (code: number, headers: Record<string, string> = { 'retry-after': '0' }): Answer => response => answerJson(response, code, { code }, headers)
const reset: Answer = response => response.destroy()
const done = { done: true }

t.test('idempotent methods are repeated after each status that means "again", and after a reset', async t => {
  const cases = [429, 500, 502, 503, 504].flatMap(code => ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'].flatMap(method => [[method, status(code), code], [method, reset, 'reset']] as const))
  await Promise.all(cases.map(async ([method, answer, name]) => {
    const { api, requests } = await apiThat(t, [answer])
    const response = await api.callApi('Api', { httpMethod: method, retry: 1 }, method === 'PUT' ? { a: 1 } : undefined)
    await response.discard()
    t.strictSame([response.status, requests.length], [200, 2], `${method} ${name}`)
  }))
})

t.test('without retry nothing is repeated, and with it no more often than it says', async t => {
  const none = await apiThat(t, [status(503)])
  await t.rejects(none.api.getForApp('Api'), { code: 'FST_IDW_DOWNSTREAM_STATUS', downstream: { status: 503 } } as never)
  t.equal(none.requests.length, 1)

  const twice = await apiThat(t, [status(503), status(502), status(500), status(504)])
  await t.rejects(twice.api.getForApp('Api', { retry: 2 }), { code: 'FST_IDW_DOWNSTREAM_STATUS', downstream: { status: 500, body: '{"code":500}' } } as never, 'the last answer is the one that counts')
  t.equal(twice.requests.length, 3)
})

t.test('what was refused is not repeated', async t => {
  for (const code of [400, 401, 403, 404, 408, 409, 410, 412, 422, 501]) {
    const { api, requests } = await apiThat(t, [status(code)])
    await t.rejects(api.getForApp('Api', { retry: 3 }), { downstream: { status: code } } as never)
    t.equal(requests.length, 1, String(code))
  }
})

t.test('POST and PATCH are not repeated, neither after a status nor after a reset', async t => {
  for (const [verb, answer, code] of [['postForApp', status(503), 'FST_IDW_DOWNSTREAM_STATUS'], ['patchForApp', status(429), 'FST_IDW_DOWNSTREAM_STATUS'], ['postForApp', reset, 'FST_IDW_DOWNSTREAM_UNREACHABLE'], ['patchForApp', reset, 'FST_IDW_DOWNSTREAM_UNREACHABLE']] as const) {
    const { api, requests } = await apiThat(t, [answer])
    await t.rejects(api[verb]('Api', { a: 1 }, { retry: 3 }), { code })
    t.equal(requests.length, 1)
  }
})

t.test('a body that can be sent again is the same the second time', async t => {
  const form = new FormData()
  form.set('name', 'value')
  await Promise.all([{ a: 1 }, 'text', Buffer.from('bytes'), new URLSearchParams({ a: '1' }), form].map(async input => {
    const { api, requests } = await apiThat(t, [status(503)])
    t.strictSame(await api.putForApp('Api', input, { retry: 1 }), done)
    const [first, second] = requests.map(({ body }) => body.replace(/----formdata-undici-\d+/g, ''))
    t.ok(first)
    t.equal(second, first)
  }))
})

t.test('a body that comes once is sent once', async t => {
  for (const [make, answer, code] of [
    [() => Readable.from([Buffer.from('once')]), status(503), 'FST_IDW_DOWNSTREAM_STATUS'],
    [() => Readable.from([Buffer.from('once')]), reset, 'FST_IDW_DOWNSTREAM_UNREACHABLE'],
    [() => new Blob(['once']).stream(), status(503), 'FST_IDW_DOWNSTREAM_STATUS'],
  ] as const) {
    const { api, requests } = await apiThat(t, [answer])
    await t.rejects(api.putForApp('Api', make(), { retry: 3 }), { code })
    t.strictSame(requests.map(({ body }) => body), ['once'])
  }
})

t.test('the timeout and an abort end a call that waits to be repeated', async t => {
  for (const headers of [{ 'retry-after': '1' }, { 'retry-after': new Date(Date.now() + 2000).toUTCString() }]) {
    const timed = await apiThat(t, [status(503, headers)])
    await t.rejects(timed.api.getForApp('Api', { retry: 1, timeout: 100 }), { code: 'FST_IDW_DOWNSTREAM_TIMEOUT' })
    t.equal(timed.requests.length, 1)

    const caller = new AbortController()
    const aborted = await apiThat(t, [(response) => { answerJson(response, 503, {}, headers); setImmediate(() => caller.abort(new Error('gone'))) }])
    await t.rejects(aborted.api.getForApp('Api', { retry: 1, signal: caller.signal }), { message: 'gone' })
    t.equal(aborted.requests.length, 1)
  }
})

t.test('the configured number of retries holds for every call, and a call may have another', async t => {
  const { api, requests } = await apiThat(t, [status(503), status(503), status(503)], { retry: 1 })
  await t.rejects(api.getForApp('Api'), { downstream: { status: 503 } } as never)
  await t.rejects(api.getForApp('Api', { retry: 0 }), { downstream: { status: 503 } } as never)
  t.equal(requests.length, 3)
})
