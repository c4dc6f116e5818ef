import t from 'tap'
import { Readable } from 'node:stream'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { build, logOf } from '../fixtures/build.ts'
import { answerJson, startRawServer, type RawRequest } from '../fixtures/raw-server.ts'

/** An application with one API, `Api`, that needs no token and is answered by the test. */
async function apiThat (t: Parameters<typeof startRawServer>[0], answer: (request: RawRequest, response: ServerResponse) => void = (_, response) => answerJson(response, 200, {}), options: object = {}) {
  const server = await startRawServer(t, answer)
  const { log, lines } = logOf()
  const app: FastifyInstance = await build(t, { downstreamApis: { Api: { baseUrl: `${server.origin}/base`, ...options } } }, () => {}, log)
  return { api: app.downstreamApi, requests: server.requests, lines }
}

t.test('each verb sends its method, whatever HttpMethod says; callApi sends HttpMethod in any letter case', async t => {
  const { api, requests } = await apiThat(t, undefined, { httpMethod: 'oPtIoNs' })

  await api.getForApp('Api')
  await api.postForApp('Api', {})
  await api.putForApp('Api', {})
  await api.patchForApp('Api', {})
  await api.deleteForApp('Api')
  await api.headForApp('Api')
  await (await api.callApi('Api')).discard()
  await (await api.callApiForApp('Api', { httpMethod: 'delete' }, { why: 'a DELETE with a body' })).discard()

  t.strictSame(requests.map(({ method }) => method), ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'DELETE'])
  t.equal(requests.at(-1)?.body, '{"why":"a DELETE with a body"}')
})

t.test('an API without scopes is called without a token, for the user too', async t => {
  const { api, requests } = await apiThat(t)

  await api.getForUser('Api')
  await api.postForUser('Api', {})
  await api.putForUser('Api', {})
  await api.patchForUser('Api', {})
  await api.deleteForUser('Api')
  await api.headForUser('Api')
  await (await api.callApiForUser('Api')).discard()

  t.strictSame(requests.map(({ method, headers }) => [method, headers.authorization]), [['GET', undefined], ['POST', undefined], ['PUT', undefined], ['PATCH', undefined], ['DELETE', undefined], ['HEAD', undefined], ['GET', undefined]])
})

t.test('input goes out by its kind', async t => {
  const form = new FormData()
  form.set('name', 'value')
  for (const [name, input, contentType, body, options] of [
    ['an object', { a: 1 }, 'application/json', '{"a":1}'],
    ['an object under the configured type', { a: 1 }, 'application/merge-patch+json', '{"a":1}', { contentType: 'application/merge-patch+json' }],
    ['a string as JSON', 'text', 'application/json', '"text"'],
    ['a string as text', 'text', 'Text/Plain', 'text', { contentType: 'Text/Plain' }],
    ['a string as XML', '<a/>', 'application/xml', '<a/>', { contentType: 'application/xml' }],
    ['false', false, 'application/json', 'false'],
    ['bytes', Buffer.from('bytes'), undefined, 'bytes'],
    ['bytes under the configured type', new Uint8Array([65]), 'image/png', 'A', { contentType: 'image/png' }],
    ['an ArrayBuffer', new Uint8Array([65, 66]).buffer, undefined, 'AB'],
    ['a stream', Readable.from([Buffer.from('str'), Buffer.from('eam')]), undefined, 'stream'],
    ['a web stream', new Blob(['web']).stream(), undefined, 'web'],
    ['a URLSearchParams', new URLSearchParams({ a: '1 2' }), 'application/x-www-form-urlencoded;charset=UTF-8', 'a=1+2'],
    ['a form', form, /^multipart\/form-data; boundary=/, /name="name"\r\n\r\nvalue/],
    ['what a serializer makes', { a: 1 }, 'text/csv', 'a\n1', { contentType: 'text/csv', serializer: () => 'a\n1' }],
    ['null', null, undefined, ''],
    ['undefined', undefined, undefined, ''],
  ] as [string, unknown, unknown, unknown, object?][]) {
    const { api, requests } = await apiThat(t)
    await api.postForApp('Api', input, options)
    t.match({ type: requests[0]?.headers['content-type'], body: requests[0]?.body }, { type: contentType, body }, name)
  }
})

t.test('input that has no JSON form is a fault of the call', async t => {
  const { api, requests } = await apiThat(t)
  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  for (const input of [circular, 1n, () => {}]) {
    await t.rejects(api.postForApp('Api', input), { code: 'FST_IDW_CONFIG_INVALID', message: /set a serializer/ })
  }
  t.strictSame(requests, [])
})

t.test('a body comes back by its kind', async t => {
  for (const [name, status, headers, body, expected, options] of [
    ['JSON', 200, { 'content-type': 'application/json; charset=utf-8' }, '{"a":1}', { a: 1 }],
    ['JSON in another letter case', 200, { 'content-type': 'Application/JSON' }, '1', 1],
    ['+json', 200, { 'content-type': 'application/problem+json' }, '[]', []],
    ['text', 200, { 'content-type': 'TEXT/plain' }, 'hello', 'hello'],
    ['no type', 200, {}, 'hello', 'hello'],
    ['an empty JSON body', 202, { 'content-type': 'application/json' }, '', undefined],
    ['an empty text body', 200, { 'content-type': 'text/plain' }, '', undefined],
    ['an empty body of any type', 200, { 'content-type': 'image/png' }, '', undefined],
    ['204', 204, { 'content-type': 'application/json' }, '', undefined],
    ['JSON as text', 200, { 'content-type': 'application/json' }, '{"a":1}', '{"a":1}', { responseType: 'text' }],
    ['JSON without a type', 200, {}, '{"a":1}', { a: 1 }, { responseType: 'json' }],
    ['bytes', 200, { 'content-type': 'image/png' }, 'A', new Uint8Array([65]).buffer, { responseType: 'arrayBuffer' }],
    ['what a deserializer makes', 200, { 'content-type': 'text/csv' }, 'a;b', ['a', 'b'], { deserializer: async (response: { text (): Promise<string> }) => (await response.text()).split(';') }],
    ['what a deserializer makes without reading', 200, { 'content-type': 'text/csv' }, 'a;b', 200, { deserializer: (response: { status: number }) => response.status }],
  ] as [string, number, Record<string, string>, string, unknown, object?][]) {
    const { api } = await apiThat(t, (_, response) => response.writeHead(status, headers).end(body))
    t.strictSame(await api.getForApp('Api', options), expected, name)
  }
})

t.test('a stream is given as it comes', async t => {
  const { api } = await apiThat(t, (_, response) => { response.writeHead(200); response.write('a'); setImmediate(() => response.end('b')) })

  const body = await api.getForApp<Readable>('Api', { responseType: 'stream' })

  t.equal((await buffer(body!)).toString(), 'ab')
})

t.test('a body that cannot be read as asked is FST_IDW_DOWNSTREAM_BODY, and quotes nothing from it', async t => {
  for (const [name, headers, body, options] of [
    ['broken JSON', { 'content-type': 'application/json' }, 'sEcReT{"a":', {}],
    ['truncated JSON', { 'content-type': 'application/json' }, '{"sEcReT":', {}],
    ['another type', { 'content-type': 'image/png' }, 'sEcReT', {}],
    ['not the JSON that was asked for', { 'content-type': 'text/html' }, '"sEcReT"', { responseType: 'json' }],
  ] as const) {
    const { api } = await apiThat(t, (_, response) => response.writeHead(200, headers).end(body))
    const error = await api.getForApp('Api', options).then(() => undefined, (error: Error) => error)
    t.match(error, { code: 'FST_IDW_DOWNSTREAM_BODY', statusCode: 502 }, name)
    t.notMatch(`${error?.message} ${(error?.cause as Error | undefined)?.stack}`, /sEcReT/i, name)
  }
})

t.test('callApi gives the answer as it is, whatever its status', async t => {
  const { api } = await apiThat(t, (_, response) => response.writeHead(404, { 'content-type': 'application/json', 'set-cookie': ['a=1', 'b=2'] }).end('{"a":1}'))

  const response = await api.callApiForApp('Api', 'todos')

  t.match(response, { status: 404, ok: false, url: /\/base\/todos$/ })
  t.strictSame(response.headers.getSetCookie(), ['a=1', 'b=2'])
  t.strictSame(await response.json(), { a: 1 })
  await t.rejects(response.text(), TypeError, 'a body is read once')
  t.equal(await (await api.callApi('Api')).text(), '{"a":1}')
  t.equal((await (await api.callApi('Api')).arrayBuffer()).byteLength, 7)
  t.ok((await api.callApi('Api')).body instanceof Readable)
  await t.rejects((await apiThat(t, (_, response) => response.end('no json'))).api.callApi('Api').then(response => response.json()), { code: 'FST_IDW_DOWNSTREAM_BODY' })
})

t.test('a status outside 2xx is FST_IDW_DOWNSTREAM_STATUS on every verb, with status, headers and the beginning of the body', async t => {
  const { api } = await apiThat(t, ({ url }, response) => response.writeHead(url.endsWith('long') ? 500 : 418, { 'x-reason': 'teapot' }).end(url.endsWith('long') ? 'x'.repeat(100_000) : 'short and stout'))

  for (const call of [() => api.getForApp('Api'), () => api.postForApp('Api', {}), () => api.putForApp('Api', {}), () => api.patchForApp('Api', {}), () => api.deleteForApp('Api')]) {
    const error = await call().then(() => undefined, (error: unknown) => error)
    t.match(error, { code: 'FST_IDW_DOWNSTREAM_STATUS', statusCode: 502, downstream: { status: 418, body: 'short and stout' } })
    t.equal((error as { downstream: { headers: Headers } }).downstream.headers.get('x-reason'), 'teapot')
  }
  await t.rejects(api.headForApp('Api'), { code: 'FST_IDW_DOWNSTREAM_STATUS', downstream: { status: 418, body: '' } } as never)
  await t.rejects(api.getForApp('Api', 'long'), { code: 'FST_IDW_DOWNSTREAM_STATUS', downstream: { status: 500, body: `${'x'.repeat(4096)}... (truncated)` } } as never)
})

t.test('an error body that breaks off is kept as far as it came', async t => {
  const { api } = await apiThat(t, (_, response) => { response.writeHead(500, { 'content-length': '100' }); response.write('half', () => response.destroy()) })
  await t.rejects(api.getForApp('Api'), { code: 'FST_IDW_DOWNSTREAM_STATUS', downstream: { status: 500, body: 'half' } } as never)
})

t.test('what the API answered is not sent to our own caller', async t => {
  const server = await startRawServer(t, (_, response) => response.writeHead(500).end('internal details'))
  const app = await build(t, { downstreamApis: { Api: { baseUrl: server.origin } } }, app => app.get('/', request => request.downstreamApi.getForApp('Api')))

  const response = await app.inject('/')

  t.match(response.json(), { statusCode: 502, code: 'FST_IDW_DOWNSTREAM_STATUS' })
  t.notMatch(response.body, /internal details/)
})

t.test('redirects are not followed', async t => {
  for (const status of [301, 302, 303, 307, 308]) {
    const { api, requests } = await apiThat(t, (_, response) => response.writeHead(status, { location: 'http://127.0.0.1:1/elsewhere' }).end())
    await t.rejects(api.postForApp('Api', {}), { code: 'FST_IDW_DOWNSTREAM_STATUS', downstream: { status } } as never)
    t.equal((await api.callApi('Api')).status, status)
    t.equal(requests.length, 2)
  }
})

t.test('configured headers are sent, reserved and doubled ones are skipped with a warning', async t => {
  const reserved = ['Authorization', 'Cookie', 'Host', 'X-Original-URL', 'X-MS-CLIENT-PRINCIPAL', 'x-ms-client-principal-id', 'X-Forwarded-For', 'X-MS-TOKEN-AAD', 'Proxy-Authorization', 'Connection', 'Keep-Alive', 'Transfer-Encoding', 'Content-Length', 'TE', 'Trailer', 'Upgrade', 'Expect', 'Sec-Fetch-Mode', 'Forwarded', 'Metadata', 'X-IDENTITY-HEADER']
  const extraHeaderParameters = { 'x-tenant': 'contoso', Accept: 'text/html', ...Object.fromEntries(reserved.map(name => [name, 'evil'])) }
  const { api, requests, lines } = await apiThat(t, undefined, { extraHeaderParameters, acceptHeader: 'application/json, text/plain;q=0.5' })

  await api.postForApp('Api', {})

  t.match(requests[0]?.headers, { 'x-tenant': 'contoso', accept: 'application/json, text/plain;q=0.5' })
  t.notMatch(JSON.stringify({ ...requests[0]?.headers, host: '' }), /evil/)
  t.strictSame(lines.filter(({ level }) => level === 40).map(({ header }) => header).sort(), [...reserved, 'Accept'].sort())
})

t.test('an empty AcceptHeader sends none', async t => {
  const { api, requests } = await apiThat(t, undefined, { acceptHeader: '' })
  await api.getForApp('Api')
  t.equal(requests[0]?.headers.accept, undefined)
})

t.test('relativePath, pathParameters and query make the URL', async t => {
  const { api, requests } = await apiThat(t, undefined, { relativePath: 'todos', extraQueryParameters: { v: '1' } })

  await api.getForApp('Api')
  await api.getForApp('Api', 'users')
  await api.getForApp('Api', { relativePath: 'users/{id}', pathParameters: { id: 'a/b' }, query: { tag: ['x', 'y'] } })

  t.strictSame(requests.map(({ url }) => url), ['/base/todos?v=1', '/base/users?v=1', '/base/users/a%2Fb?v=1&tag=x&tag=y'])
})

t.test('an override changes one call only', async t => {
  const { api, requests } = await apiThat(t, undefined, { extraHeaderParameters: { 'x-a': '1' }, extraQueryParameters: { q: '1' } })

  await api.getForApp('Api', { extraHeaderParameters: { 'x-b': '2' }, relativePath: 'one' })
  await api.getForApp('Api', options => {
    options.extraHeaderParameters!['x-a'] = 'changed'
    options.relativePath = 'two'
    delete options.extraQueryParameters!['q']
  })
  await api.getForApp('Api')

  t.match(requests, [
    { url: '/base/one?q=1', headers: { 'x-a': '1', 'x-b': '2' } },
    { url: '/base/two', headers: { 'x-a': 'changed' } },
    { url: '/base/?q=1', headers: { 'x-a': '1' } },
  ])
})

t.test('an override that is not right is FST_IDW_CONFIG_INVALID, and a baseUrl in it is refused', async t => {
  const { api, requests } = await apiThat(t)
  for (const override of [{ relativPath: 'x' }, { timeout: 'soon' }, { baseUrl: 'https://evil.example/' }, { BaseUrl: 'https://evil.example/' }, { scopes: 7 }, (options: { baseUrl: string }) => { options.baseUrl = 'https://evil.example/' }, JSON.parse('{"__proto__":{"x":1}}')]) {
    await t.rejects(api.getForApp('Api', override as never), { code: 'FST_IDW_CONFIG_INVALID' }, String(JSON.stringify(override)))
  }
  t.strictSame(requests, [])
})

t.test('an unknown API is FST_IDW_UNKNOWN_API, which names those that there are', async t => {
  const { api } = await apiThat(t)
  for (const name of ['api', 'Other', '__proto__', 'constructor']) await t.rejects(api.getForApp(name), { code: 'FST_IDW_UNKNOWN_API', message: /"Api"/ })
})

t.test('a typed call that takes longer than timeout is FST_IDW_DOWNSTREAM_TIMEOUT, also when only its body does', async t => {
  for (const answer of [() => {}, (_: RawRequest, response: ServerResponse) => { response.writeHead(200, { 'content-type': 'application/json' }); response.write('{') }]) {
    const { api } = await apiThat(t, answer)
    await t.rejects(api.getForApp('Api', { timeout: 20 }), { code: 'FST_IDW_DOWNSTREAM_TIMEOUT', statusCode: 504 })
  }
})

t.test('for callApi and streams, timeout ends with the headers', async t => {
  let finish = () => {}
  const { api } = await apiThat(t, (_, response) => { response.writeHead(200); response.write('a'); finish = () => response.end('b') })

  const response = await api.callApi('Api', { timeout: 200 })
  const stream = api.getForApp<Readable>('Api', { timeout: 200, responseType: 'stream' })
  await new Promise(resolve => setTimeout(resolve, 250))
  finish()

  t.equal((await buffer((await stream)!)).toString(), 'ab')
  response.body.destroy()
  await t.rejects((await apiThat(t, () => {})).api.callApi('Api', { timeout: 20 }), { code: 'FST_IDW_DOWNSTREAM_TIMEOUT' })
})

t.test('an abort rejects with the signal\'s own reason: before, during, and while the body comes', async t => {
  const reason = new Error('no longer needed')
  const { api, requests } = await apiThat(t)
  await t.rejects(api.getForApp('Api', { signal: AbortSignal.abort(reason) }), reason)
  t.equal(requests.length, 0)

  const during = new AbortController()
  const hanging = await apiThat(t, () => during.abort(reason))
  await t.rejects(hanging.api.getForApp('Api', { signal: during.signal }), reason)

  const reading = new AbortController()
  const endless = await apiThat(t, (_, response) => { response.writeHead(200); response.write('a') })
  const response = await endless.api.callApi('Api', { signal: reading.signal })
  const text = t.rejects(response.text(), reason)
  reading.abort(reason)
  await text
  const unread = new AbortController()
  await endless.api.callApi('Api', { signal: unread.signal })
  unread.abort(reason)
})

t.test('an API that cannot be reached, or breaks off, is FST_IDW_DOWNSTREAM_UNREACHABLE', async t => {
  const { api: breaking } = await apiThat(t, (_, response) => response.destroy())
  await t.rejects(breaking.getForApp('Api'), { code: 'FST_IDW_DOWNSTREAM_UNREACHABLE', statusCode: 502, cause: { code: 'UND_ERR_SOCKET' } })

  const { api: half } = await apiThat(t, (_, response) => { response.writeHead(200, { 'content-length': '10', 'content-type': 'application/json' }); response.write('{', () => response.destroy()) })
  await t.rejects(half.getForApp('Api'), { code: 'FST_IDW_DOWNSTREAM_UNREACHABLE' })

  const app = await build(t, { downstreamApis: { Api: { baseUrl: 'http://127.0.0.1:1/' } } })
  await t.rejects(app.downstreamApi.getForApp('Api'), { code: 'FST_IDW_DOWNSTREAM_UNREACHABLE', cause: { code: 'ECONNREFUSED' } })
})

t.test('retry repeats what may be repeated, and gives the last answer', async t => {
  let answers = 0
  const { api, requests } = await apiThat(t, (_, response) => response.writeHead(++answers % 2 === 1 ? 503 : 200, { 'retry-after': '0', 'content-type': 'application/json' }).end('{}'))

  t.strictSame(await api.getForApp('Api', { retry: 1 }), {})
  await t.rejects(api.postForApp('Api', {}, { retry: 1 }), { code: 'FST_IDW_DOWNSTREAM_STATUS', downstream: { status: 503 } } as never)
  t.strictSame(requests.map(({ method }) => method), ['GET', 'GET', 'POST'])
})

t.test('an override that is an async function is refused, since its changes would come too late', async t => {
  const { api, requests } = await apiThat(t)
  for (const override of [async () => {}, async () => { throw new Error('too late') }]) {
    await t.rejects(api.getForApp('Api', override as never), { code: 'FST_IDW_CONFIG_INVALID', message: /async function/ })
  }
  t.strictSame(requests, [])
})

t.test('null is no override', async t => {
  const { api } = await apiThat(t)
  for (const override of [null, 7, [], true]) await t.rejects(api.getForApp('Api', override as never), { code: 'FST_IDW_CONFIG_INVALID' })
})

t.test('a serializer may be async, and what it throws ends the call', async t => {
  const { api, requests } = await apiThat(t)
  await api.postForApp('Api', { a: 1 }, { contentType: 'text/csv', serializer: (async () => 'a\n1') as never })
  t.match(requests, [{ headers: { 'content-type': 'text/csv' }, body: 'a\n1' }])

  const reason = new Error('no')
  await t.rejects(api.postForApp('Api', {}, { serializer: (async () => { throw reason }) as never }), reason)
  await t.rejects(api.postForApp('Api', {}, { serializer: () => { throw reason } }), reason)
})

t.test('blobs, views of memory and async iterables are sent as the bytes that they are', async t => {
  async function * parts () {
    yield Buffer.from('a')
    yield Buffer.from('b')
  }
  for (const [input, contentType, body] of [
    [new Blob(['blob'], { type: 'text/csv' }), 'text/csv', 'blob'],
    [new Blob(['blob']), undefined, 'blob'],
    [new DataView(new Uint8Array([65, 66, 67]).buffer, 1), undefined, 'BC'],
    [new Uint16Array([0x4241]), undefined, 'AB'],
    [parts(), undefined, 'ab'],
    [new Date(0), 'application/json', '"1970-01-01T00:00:00.000Z"'],
  ] as const) {
    const { api, requests } = await apiThat(t)
    await api.postForApp('Api', input)
    t.match({ type: requests[0]?.headers['content-type'], body: requests[0]?.body }, { type: contentType, body })
  }
})

t.test('a stream that breaks off while its call waits fails the call, and nothing else', async t => {
  const { api } = await apiThat(t)
  const reason = new Error('no such file')
  const node = new Readable({ read () {} })
  let web!: ReadableStreamDefaultController
  for (const [input, breakOff] of [
    [node, () => { node.destroy(reason) }],
    [new ReadableStream({ start: controller => { web = controller } }), () => { web.error(reason) }],
  ] as const) {
    const customizeHttpRequestMessage = async ({ body }: { body: unknown }) => {
      const closed = new Promise(resolve => { (body as Readable).once('close', resolve) })
      breakOff()
      await closed
    }
    await t.rejects(api.postForApp('Api', input, { customizeHttpRequestMessage }), { code: 'FST_IDW_DOWNSTREAM_UNREACHABLE', cause: reason } as never)
  }
})

t.test('a body that was only looked at can still be read otherwise; one that was read cannot', async t => {
  const { api } = await apiThat(t, (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"a":1}'))

  const looked = await api.callApi('Api')
  t.equal(looked.body, looked.body, 'the same stream every time')
  t.strictSame(await looked.json(), { a: 1 })
  await t.rejects(looked.text(), TypeError)

  const discarded = await api.callApi('Api')
  await discarded.discard()
  await t.rejects(discarded.json(), TypeError)
  await t.rejects(discarded.discard(), TypeError)
})

t.test('discard gives up a body that is long, or does not come', async t => {
  const { api } = await apiThat(t, ({ url }, response) => {
    response.writeHead(200)
    response.write(url.endsWith('long') ? Buffer.alloc(1024 * 1024) : 'a')
  })

  await (await api.callApi('Api', 'long')).discard()
  await (await api.callApi('Api', 'dribble')).discard()
})

t.test('a long body comes whole, and as a stream', async t => {
  const size = 4 * 1024 * 1024
  const { api } = await apiThat(t, (_, response) => response.writeHead(200).end(Buffer.alloc(size, 'x')))

  t.equal((await (await api.callApi('Api')).arrayBuffer()).byteLength, size)
  t.equal((await buffer((await api.callApi('Api')).body)).length, size)
  t.equal((await buffer((await api.callApi('Api', { retry: 1 })).body)).length, size)
})

t.test('a body that breaks off fails who reads it', async t => {
  const { api } = await apiThat(t, (_, response) => { response.writeHead(200, { 'content-length': '100' }); response.write('half', () => response.destroy()) })

  await t.rejects((await api.callApi('Api')).text(), { code: 'FST_IDW_DOWNSTREAM_UNREACHABLE' })
  await t.rejects(buffer((await api.callApi('Api')).body), { code: 'FST_IDW_DOWNSTREAM_UNREACHABLE' })
  await t.rejects(api.getForApp('Api'), { code: 'FST_IDW_DOWNSTREAM_UNREACHABLE' })
  await (await api.callApi('Api')).discard()
})

t.test('a stream that its reader gives up gives up the call', async t => {
  let closed: Promise<unknown> | undefined
  const { api } = await apiThat(t, (_, response) => {
    closed = once(response, 'close')
    response.writeHead(200)
    response.write('a')
  })

  const stream = (await api.getForApp<Readable>('Api', { responseType: 'stream' }))!
  stream.destroy()

  await closed
})

t.test('a byte order mark is no part of the text', async t => {
  const { api } = await apiThat(t, (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('\ufeff{"a":1}'))
  t.strictSame(await api.getForApp('Api'), { a: 1 })
  t.equal(await (await api.callApi('Api')).text(), '{"a":1}')
})

t.test('1xx only announces the answer', async t => {
  const { api } = await apiThat(t, (_, response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' })
    answerJson(response, 200, { a: 1 })
  })
  t.strictSame(await api.getForApp('Api'), { a: 1 })
  t.strictSame(await api.getForApp('Api', { retry: 1 }), { a: 1 })
})

t.test('an extra Content-Type is sent where the request has none, and skipped where it has one', async t => {
  const { api, requests, lines } = await apiThat(t, undefined, { extraHeaderParameters: { 'Content-Type': 'text/x-own' } })
  await api.getForApp('Api')
  await api.postForApp('Api', { a: 1 })
  t.strictSame(requests.map(({ headers }) => headers['content-type']), ['text/x-own', 'application/json'])
  t.match(lines.filter(({ level }) => level === 40), [{ header: 'content-type' }])
})

t.test('a hook may give the URL as a URL', async t => {
  const { api, requests } = await apiThat(t)
  await api.getForApp('Api', { customizeHttpRequestMessage: request => { request.url = new URL(`${request.url}x`) as never } })
  t.equal(requests[0]?.url, '/base/x')
})

t.test('a call that is ended while its repetition is waited for ends at once, and leaves nothing behind', async t => {
  const caller = new AbortController()
  const reason = new Error('gone')
  const { api, requests } = await apiThat(t, (_, response) => {
    response.writeHead(503, { 'retry-after': '5' }).end()
    setImmediate(() => caller.abort(reason))
  })
  await t.rejects(api.getForApp('Api', { retry: 3, signal: caller.signal }), reason)
  t.equal(requests.length, 1)
})
