import t from 'tap'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import type { ServerResponse } from 'node:http'
import { Agent, FormData as UndiciFormData, MockAgent } from 'undici'
import { build } from '../fixtures/build.ts'
import { answerJson, startRawServer, type RawRequest } from '../fixtures/raw-server.ts'

type Tap = Parameters<typeof startRawServer>[0]
type Answer = (request: RawRequest, response: ServerResponse) => void

async function apiThat (t: Tap, answer: Answer = (_, response) => answerJson(response, 200, { done: true }), options: object = {}) {
  const server = await startRawServer(t, answer)
  const app = await build(t, { ...options, downstreamApis: { Api: { baseUrl: server.origin } } })
  return { api: app.downstreamApi, app, requests: server.requests, origin: server.origin }
}

/** Carries to nowhere but `answer`. */
function mock (t: Tap, origin: string, answer: object) {
  const agent = new MockAgent()
  agent.disableNetConnect()
  agent.get(origin).intercept({ path: '/' }).reply(200, answer, { headers: { 'content-type': 'application/json' } }).persist()
  t.teardown(() => agent.close())
  return agent
}

t.test('a call goes through its own dispatcher, else its API\'s, else the plugin\'s', async t => {
  const server = await startRawServer(t, (_, response) => answerJson(response, 200, {}))
  const [ofCall, ofApi, ofPlugin] = ['call', 'api', 'plugin'].map(by => mock(t, server.origin, { by })) as [MockAgent, MockAgent, MockAgent]
  const { downstreamApi } = await build(t, { dispatcher: ofPlugin, downstreamApis: { Api: { baseUrl: server.origin, dispatcher: ofApi }, Plain: { baseUrl: server.origin } } })

  t.strictSame(await downstreamApi.getForApp('Plain'), { by: 'plugin' })
  t.strictSame(await downstreamApi.getForApp('Api'), { by: 'api' })
  t.strictSame(await downstreamApi.getForApp('Api', { dispatcher: ofCall, retry: 1 }), { by: 'call' })
  t.strictSame(await downstreamApi.getForApp('Api', options => { options.dispatcher = ofCall }), { by: 'call' })
  t.strictSame(server.requests, [])
})

t.test('what a dispatcher refuses, or gives up by its own deadline, is told as what it is', async t => {
  const closed = new Agent()
  await closed.close()
  const impatient = new Agent({ bodyTimeout: 20 })
  t.teardown(() => impatient.destroy())
  const { api } = await apiThat(t, (_, response) => { response.writeHead(200, { 'content-type': 'application/json' }); response.write('{') })

  await t.rejects(api.getForApp('Api', { dispatcher: closed }), { code: 'FST_IDW_DOWNSTREAM_UNREACHABLE', statusCode: 502, message: /UND_ERR_(CLOSED|DESTROYED)/ })
  const typed = t.rejects(api.getForApp('Api', { dispatcher: impatient }), { code: 'FST_IDW_DOWNSTREAM_TIMEOUT', statusCode: 504, message: /UND_ERR_BODY_TIMEOUT.*raise its timeout/, cause: { code: 'UND_ERR_BODY_TIMEOUT' } } as never)
  await t.rejects((await api.callApi('Api', { dispatcher: impatient })).text(), { code: 'FST_IDW_DOWNSTREAM_TIMEOUT' })
  await typed
})

t.test('an error without a code is told by its message', async t => {
  const { api } = await apiThat(t)
  const broken = new Agent({ connect: (_, callback) => callback(new Error('no way there'), null) })
  t.teardown(() => broken.destroy())
  await t.rejects(api.getForApp('Api', { dispatcher: broken }), { code: 'FST_IDW_DOWNSTREAM_UNREACHABLE', message: /\(no way there\): check its BaseUrl/, cause: { message: 'no way there' } } as never)
})

t.test('what a dispatcher throws ends the call that it was to carry', async t => {
  const { api } = await apiThat(t)
  const reason = new Error('no such way')
  for (const retry of [0, 1]) {
    await t.rejects(api.getForApp('Api', { retry, dispatcher: { dispatch: () => { throw reason } } as never }), { code: 'FST_IDW_DOWNSTREAM_UNREACHABLE', cause: reason } as never)
  }
})

t.test('a request\'s own signal and the call\'s both end the call', async t => {
  const server = await startRawServer(t, () => caller.abort(reason))
  const caller = new AbortController()
  const reason = new Error('enough')
  const app = await build(t, { downstreamApis: { Api: { baseUrl: server.origin } } }, app => {
    app.get('/', request => request.downstreamApi.getForApp('Api', { signal: caller.signal }).catch((error: Error) => error.message))
  })
  t.equal((await app.inject('/')).body, 'enough')
})

t.test('close ends calls that are under way, unless a dispatcher that was given carries them', async t => {
  const own = new Agent()
  t.teardown(() => own.destroy())
  const arrived = gate(2)
  const waiting: ServerResponse[] = []
  const { api, app } = await apiThat(t, (_, response) => { waiting.push(response); arrived.open() })
  const ended = t.rejects(api.getForApp('Api'), { code: 'FST_IDW_DOWNSTREAM_UNREACHABLE' })
  const carried = api.getForApp('Api', { dispatcher: own })
  await arrived.opened

  await app.close()

  await ended
  for (const response of waiting) answerJson(response, 200, { done: true })
  t.strictSame(await carried, { done: true })
})

t.test('after close no call leaves any more', async t => {
  const { api, app, requests } = await apiThat(t)
  const own = new Agent()
  t.teardown(() => own.destroy())
  await app.close()

  for (const options of [{}, { dispatcher: own }]) await t.rejects(api.getForApp('Api', options), { code: 'FST_IDW_DOWNSTREAM_UNREACHABLE', message: /is closing/ })
  t.strictSame(requests, [])
})

t.test('many calls on one signal are no sign of a leak', async t => {
  const warnings: Error[] = []
  const warned = (warning: Error) => { warnings.push(warning) }
  process.on('warning', warned)
  t.teardown(() => process.off('warning', warned))
  const { api } = await apiThat(t)
  const { signal } = new AbortController()

  await Promise.all(Array.from({ length: 30 }, () => api.getForApp('Api', { signal })))
  await new Promise(resolve => setImmediate(resolve))

  t.strictSame(warnings, [])
})

t.test('a signal that outlives the calls does not keep them', async t => {
  const { api } = await apiThat(t)
  const { signal } = new AbortController()
  const listeners = { added: 0, removed: 0 }
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => { listeners.added++; addEventListener.apply(signal, args) }
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => { listeners.removed++; removeEventListener.apply(signal, args) }

  for (let call = 0; call < 20; call++) await api.getForApp('Api', { signal })
  await (await api.callApi('Api', { signal })).discard()
  await t.rejects(api.getForApp('Api', { signal, customizeHttpRequestMessage: () => { throw new Error('no') } }))

  t.ok(listeners.added >= 22)
  t.ok(listeners.removed >= listeners.added)
})

t.test('a stream that an abort ends fails with the signal\'s own reason', async t => {
  const { api } = await apiThat(t, (_, response) => { response.writeHead(200); response.write('a') })
  const caller = new AbortController()
  const reason = new Error('gone')
  const stream = (await api.getForApp<Readable>('Api', { responseType: 'stream', signal: caller.signal }))!

  stream.once('data', () => caller.abort(reason))

  await t.rejects(once(stream, 'end'), reason)
})

t.test('a form of undici, and one with a file, are sent as they are', async t => {
  const { api, requests } = await apiThat(t)
  const undiciForm = new UndiciFormData()
  undiciForm.set('name', 'undici')
  const withFile = new FormData()
  withFile.set('file', new File(['content'], 'name.txt', { type: 'text/plain' }))

  await api.postForApp('Api', undiciForm)
  await api.postForApp('Api', withFile)

  t.match(requests, [
    { headers: { 'content-type': /^multipart\/form-data; boundary=/ }, body: /name="name"\r\n\r\nundici/ },
    { body: /name="file"; filename="name.txt"\r\nContent-Type: text\/plain\r\n\r\ncontent/ },
  ])
})

t.test('where no API is configured, an unknown one is told so', async t => {
  const app = await build(t, { downstreamApis: {} }, () => {})
  await t.rejects(app.downstreamApi.getForApp('Api'), { code: 'FST_IDW_UNKNOWN_API', message: /none is configured/ })
  await t.rejects(async () => build(t, { downstreamApis: {} }, app => { app.get('/', { config: { downstreamApi: { Api: {} } } }, () => '') }), { code: 'FST_IDW_CONFIG_INVALID', message: /there is none/ })
})

function gate (count: number) {
  let open!: () => void
  const opened = new Promise<void>(resolve => { open = resolve })
  return { opened, open: () => { if (--count === 0) open() } }
}
