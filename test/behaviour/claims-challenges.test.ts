import t from 'tap'
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { Agent } from 'undici'
import { challengeUser } from '../../lib/challenges/challenge-user.ts'
import { encodeClaims } from '../../lib/challenges/claims-challenge.ts'
import type { DownstreamRequest, DownstreamResponse } from '../../lib/core.ts'
import { build, logOf, startWorld } from '../fixtures/build.ts'
import { pending, requestOfUser } from '../fixtures/engine.ts'
import { answerJson, startRawServer, type RawRequest } from '../fixtures/raw-server.ts'
import { clientId, secret, tenantId } from '../fixtures/todo-api.ts'

type Tap = Parameters<typeof startRawServer>[0]
type Answer = (response: ServerResponse, request: RawRequest) => void

const scopes = ['api://todo/.default']
const nbf = { essential: true, value: '1700000000' }
const claims = JSON.stringify({ access_token: { nbf } })
const header = `Bearer realm="", authorization_uri="https://login.example/common/oauth2/authorize", error="insufficient_claims", claims="${encodeClaims(claims)}"`
const challenge: Answer = response => answerJson(response, 401, { error: 'no' }, { 'www-authenticate': header })
const ok: Answer = response => answerJson(response, 200, { done: true })
const done = { done: true }

interface Given {
  /** Of the API, one a request; then it lets in. */
  readonly answers?: Answer[]
  /** Of Entra ID, one a request; then it gives tokens. */
  readonly tokenAnswers?: (Answer | undefined)[]
  readonly azureAd?: object
  readonly api?: object
}

/** An application with one API, whose answers are the test's, and an Entra ID that gives every request a token of its own. */
async function appWith (t: Tap, { answers = [challenge], tokenAnswers = [], azureAd = {}, api = {} }: Given = {}) {
  let count = 0
  const events: string[] = []
  const ports = new Set<number | undefined>()
  const waiting = [...answers]
  const waitingForToken = [...tokenAnswers]
  const entra = await startRawServer(t, (request, response) => {
    events.push('token')
    const answer = waitingForToken.shift() ?? (response => answerJson(response, 200, { access_token: `token-${++count}`, token_type: 'Bearer', expires_in: 3599 }))
    answer(response, request)
  })
  const server = await startRawServer(t, (request, response) => {
    events.push('call')
    ports.add(response.socket?.remotePort);
    (waiting.shift() ?? ok)(response, request)
  })
  const { log, lines } = logOf()
  const app: FastifyInstance = await build(t, {
    config: { AzureAd: { Instance: entra.origin, TenantId: tenantId, ClientId: clientId, ClientSecret: secret, ...azureAd } },
    downstreamApis: { Api: { baseUrl: server.origin, scopes, requestAppToken: true, ...api }, Open: { baseUrl: server.origin } },
  }, () => {}, log)
  const tokens = () => server.requests.map(({ headers }) => headers.authorization)
  // MSAL asks for some of the id token too.
  const askedClaims = () => entra.requests.map(({ body }) => (JSON.parse(new URLSearchParams(body).get('claims') ?? '{}') as { access_token?: unknown }).access_token)
  return { app, api: app.downstreamApi, requests: server.requests, tokenRequests: entra.requests, tokens, askedClaims, events, ports, lines }
}

async function until (isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise(resolve => setImmediate(resolve))
}

t.test('a challenged call is made once more with a token for the claims, which all calls have from then on', async t => {
  const { api, tokens, askedClaims } = await appWith(t)

  t.strictSame(await api.getForApp('Api'), done)
  t.strictSame(await api.getForApp('Api'), done)
  t.strictSame(await (await api.callApi('Api')).json(), done)

  t.strictSame(tokens(), ['Bearer token-1', 'Bearer token-2', 'Bearer token-2', 'Bearer token-2'])
  t.strictSame(askedClaims(), [undefined, { nbf }])
})

t.test('it is the same for every verb and callApi, for a token at hand and for one that is not', async t => {
  for (const call of ['getForApp', 'postForApp', 'putForApp', 'patchForApp', 'deleteForApp', 'headForApp', 'callApiForApp', 'callApi'] as const) {
    const { api, requests, tokens } = await appWith(t, { answers: [challenge, ok, challenge] })

    for (let time = 0; time < 2; time++) {
      const answer = await (api[call] as (api: string, input?: object) => Promise<unknown>)('Api', call.startsWith('p') ? { a: 1 } : undefined)
      if (call.startsWith('call')) await (answer as DownstreamResponse).discard()
    }

    t.equal(new Set(requests.map(({ method }) => method)).size, 1)
    t.strictSame(tokens(), ['Bearer token-1', 'Bearer token-2', 'Bearer token-2', 'Bearer token-3'], call)
  }
})

t.test('the claims join the client capabilities', async t => {
  const { api, askedClaims } = await appWith(t, { azureAd: { ClientCapabilities: ['cp1'] } })
  await api.getForApp('Api')
  t.strictSame(askedClaims(), [{ xms_cc: { values: ['cp1'] } }, { nbf, xms_cc: { values: ['cp1'] } }])
})

t.test('a managed identity is asked again too', async t => {
  const { entra } = await startWorld(t)
  const server = await startRawServer(t, (request, response) => server.requests.length === 1 ? challenge(response, request) : ok(response, request))
  const app = await build(t, { config: { AzureAd: { ClientCapabilities: ['cp1'] } }, downstreamApis: { Api: { baseUrl: server.origin, scopes: ['api://33333333-3333-4333-8333-333333333333/.default'], acquireTokenOptions: { managedIdentity: {} } } } })

  for (let time = 0; time < 2; time++) t.strictSame(await app.downstreamApi.getForApp('Api'), done)

  const [first, second, third] = server.requests.map(({ headers }) => headers.authorization)
  t.not(second, first)
  t.equal(third, second)
  t.match(entra.tokenRequests, [{ endpoint: 'managed-identity' }, { endpoint: 'managed-identity' }])
  t.equal(entra.tokenRequests.length, 2)
})

t.test('an API that never stops challenging is called twice, and its second answer is given as it is', async t => {
  const answers = Array.from({ length: 10 }, () => challenge)
  const typed = await appWith(t, { answers })
  await t.rejects(typed.api.getForApp('Api'), { code: 'FST_IDW_DOWNSTREAM_STATUS', downstream: { status: 401, body: '{"error":"no"}' } } as never)
  t.strictSame(typed.events, ['token', 'call', 'token', 'call'])

  const plain = await appWith(t, { answers })
  const answer = await plain.api.callApiForApp('Api')
  t.match(answer, { status: 401 })
  t.equal(answer.headers.get('www-authenticate'), header)
  t.strictSame(await answer.json(), { error: 'no' })
  t.strictSame(plain.events, ['token', 'call', 'token', 'call'])
})

t.test('what a hook adds to a form is in each request once, and not in the caller\'s own form', async t => {
  const { api, requests } = await appWith(t)
  const form = new FormData()
  form.set('name', 'value')
  const customizeHttpRequestMessage = ({ body }: DownstreamRequest) => { (body as FormData).append('added', 'by the hook') }

  t.match(await api.postForApp('Api', form, { customizeHttpRequestMessage }), done)

  t.strictSame(requests.map(({ body }) => body.split('by the hook').length - 1), [1, 1])
  t.strictSame([...form.keys()], ['name'])
})

t.test('what is no claims challenge is the answer', async t => {
  const answering = (status: number, value: string, more: Record<string, string> = {}): Answer => response => answerJson(response, status, {}, { 'www-authenticate': value, ...more })
  for (const [what, status, answer] of [
    ['no header', 401, response => answerJson(response, 401, {})],
    ['another scheme', 401, answering(401, header.replace('Bearer', 'PoP'))],
    ['another error', 401, answering(401, header.replace('insufficient_claims', 'invalid_token'))],
    ['a 403', 403, answering(403, header)],
    ['a redirect', 302, answering(302, header, { location: '/elsewhere' })],
    ['more than 8 KiB of claims', 401, answering(401, `Bearer error="insufficient_claims", claims="${encodeClaims(`{"a":"${'x'.repeat(7_000)}"}`)}"`)],
    ['broken claims', 401, answering(401, 'Bearer error="insufficient_claims", claims="e30"x')],
  ] as [string, number, Answer][]) {
    const { api, events } = await appWith(t, { answers: [answer] })
    await t.rejects(api.getForApp('Api'), { code: 'FST_IDW_DOWNSTREAM_STATUS', downstream: { status } } as never, what)
    t.strictSame(events, ['token', 'call'], what)
  }
})

t.test('a call without a token is not made again', async t => {
  const { api, events } = await appWith(t)
  await t.rejects(api.getForApp('Open'), { downstream: { status: 401 } } as never)
  t.strictSame(events, ['call'])
})

t.test('the hooks and the serializer run again, in order, and see the new token', async t => {
  const seen: (string | null)[] = []
  const { api, requests, tokens } = await appWith(t)

  await api.postForApp('Api', { a: 1 }, {
    serializer: () => { seen.push('serializer'); return `body ${seen.length}` },
    contentType: 'text/plain',
    onBeforeAuthHeaderCreation: ({ headers }) => { seen.push(headers.get('authorization')) },
    onAfterAuthHeaderCreation: async ({ headers }) => { seen.push(headers.get('authorization')) },
    customizeHttpRequestMessage: ({ headers }) => { headers.set('x-count', String(seen.length)) },
  })

  t.strictSame(seen, ['serializer', null, 'Bearer token-1', 'serializer', null, 'Bearer token-2'])
  t.match(requests, [{ body: 'body 1', headers: { 'x-count': '3' } }, { body: 'body 4', headers: { 'x-count': '6' } }])
  t.strictSame(tokens(), ['Bearer token-1', 'Bearer token-2'])
})

t.test('a body that can be sent again is the same byte for byte', async t => {
  const form = new FormData()
  form.set('name', 'value')
  form.set('file', new Blob([Buffer.from([0, 1, 2])]), 'file.bin')
  for (const [what, input, options] of [
    ['text', 'text', {}],
    ['an object', { a: '\u00fc' }, {}],
    ['a Buffer', Buffer.from('b\u00fctes'), {}],
    ['an ArrayBuffer', new Uint8Array([65, 66]).buffer, {}],
    ['a URLSearchParams', new URLSearchParams({ a: '1 2' }), {}],
    ['a form', form, {}],
    ['a Blob', new Blob(['blob']), {}],
    ['what a serializer makes', { a: 1 }, { serializer: (input: object) => Buffer.from(JSON.stringify([input])) }],
  ] as [string, unknown, object][]) {
    const { api, requests } = await appWith(t)
    t.strictSame(await api.postForApp('Api', input, options), done, what)
    const [first, second] = requests.map(({ body, headers }) => JSON.stringify([body, headers['content-type']]).replaceAll(/----formdata-undici-\d+/g, ''))
    t.ok(requests[0]?.body)
    t.equal(second, first, what)
  }
})

t.test('a body that comes once is not sent again: the answer stands, and the next call has the new token', async t => {
  for (const [what, make, options] of [
    ['a stream', () => Readable.from([Buffer.from('once')])],
    ['a web stream', () => new Blob(['once']).stream()],
    ['an async iterable', async function * () { yield Buffer.from('once') }],
    ['a stream that a serializer makes', () => ({ a: 1 }), { serializer: () => Readable.from([Buffer.from('once')]) }],
    ['a stream that a hook puts in', () => ({ a: 1 }), { customizeHttpRequestMessage: (request: DownstreamRequest) => { request.body = Readable.from([Buffer.from('once')]) } }],
  ] as [string, () => unknown, object?][]) {
    const { api, requests, tokens, askedClaims, lines } = await appWith(t)

    await t.rejects(api.postForApp('Api', make(), options), { code: 'FST_IDW_DOWNSTREAM_STATUS', downstream: { status: 401 } } as never, what)
    t.strictSame(requests.map(({ body }) => body), ['once'])
    await until(() => lines.filter(({ msg }) => msg === 'token acquired').length === 2)

    t.strictSame(await api.getForApp('Api'), done)
    t.strictSame(tokens(), ['Bearer token-1', 'Bearer token-2'])
    t.strictSame(askedClaims(), [undefined, { nbf }])
  }
})

t.test('callApi gives the answer to a body that comes once, and a token that cannot be had for the next is only logged', async t => {
  const { api, lines, events } = await appWith(t, { tokenAnswers: [undefined, response => answerJson(response, 400, { error: 'invalid_request' })] })

  const answer = await api.callApi('Api', { httpMethod: 'POST' }, Readable.from([Buffer.from('once')]))
  t.equal(answer.status, 401)
  t.strictSame(await answer.json(), { error: 'no' })

  const logged = () => lines.filter(({ msg }) => msg === 'claims challenge: no new token for the next call')
  await until(() => logged().length > 0)
  t.match(logged(), [{ level: 20, api: 'Api', err: { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED' } }])
  t.strictSame(events, ['token', 'call', 'token'])
})

t.test('the connection of the first answer is used again, also where its body is long', async t => {
  for (const length of [0, 100, 100_000]) {
    const long: Answer = response => response.writeHead(401, { 'www-authenticate': header }).end('x'.repeat(length))
    const { api, requests, ports } = await appWith(t, { answers: [long] })
    t.strictSame(await api.getForApp('Api'), done)
    t.equal(requests.length, 2)
    t.equal(ports.size, 1, `${length} bytes`)
  }
})

t.test('the only connection that there may be is free for the second attempt, however often', async t => {
  const dispatcher = new Agent({ connections: 1 })
  t.teardown(() => dispatcher.destroy())
  const { api, requests, ports } = await appWith(t, { api: { dispatcher }, answers: Array.from({ length: 40 }, (_, index) => index % 2 === 0 ? challenge : ok) })
  for (let time = 0; time < 20; time++) t.strictSame(await api.getForApp('Api'), done)
  t.equal(requests.length, 40)
  t.equal(ports.size, 1)
})

t.test('a body without an end holds up nothing: its connection is given up', async t => {
  const closed = pending<void>()
  const endless: Answer = response => {
    response.once('close', () => closed.resolve())
    response.writeHead(401, { 'www-authenticate': header })
    const write = () => { while (response.write('x'.repeat(10_000))); response.once('drain', write) }
    write()
  }
  const { api, ports } = await appWith(t, { answers: [endless] })

  t.strictSame(await api.getForApp('Api'), done)
  await closed.promise
  t.equal(ports.size, 2)
})

t.test('a failed acquisition with the claims is what the call rejects with', async t => {
  const { api, events } = await appWith(t, { tokenAnswers: [undefined, response => answerJson(response, 400, { error: 'invalid_grant', error_codes: [50000] })] })
  await t.rejects(api.getForApp('Api'), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', errorCodes: [50000], oauthError: 'invalid_grant' } as never)
  t.strictSame(events, ['token', 'call', 'token'])
})

t.test('an abort during the second acquisition rejects with its reason, and nothing more is sent', async t => {
  const controller = new AbortController()
  const reason = new Error('changed my mind')
  const { api, events } = await appWith(t, { tokenAnswers: [undefined, () => controller.abort(reason)] })
  await t.rejects(api.getForApp('Api', { signal: controller.signal }), reason)
  t.strictSame(events, ['token', 'call', 'token'])
})

t.test('an abort while the first answer is discarded rejects with its reason', async t => {
  const controller = new AbortController()
  const reason = new Error('changed my mind')
  const stuck: Answer = response => {
    response.writeHead(401, { 'www-authenticate': header, 'content-length': '100' }).write('x')
    setImmediate(() => controller.abort(reason))
  }
  const { api, events } = await appWith(t, { answers: [stuck] })
  await t.rejects(api.callApi('Api', { signal: controller.signal }), reason)
  t.strictSame(events, ['token', 'call'])
})

t.test('the time-out covers both attempts together', async t => {
  const hangs = await appWith(t, { answers: [ok, challenge], tokenAnswers: [undefined, () => {}] })
  await hangs.api.getForApp('Api')
  await t.rejects(hangs.api.getForApp('Api', { timeout: 200 }), { code: 'FST_IDW_DOWNSTREAM_TIMEOUT', message: /within 200 ms/ })
  t.strictSame(hangs.events, ['token', 'call', 'call', 'token'])

  const late = (answer: Answer): Answer => (response, request) => { setTimeout(answer, 250, response, request) }
  const slow = await appWith(t, { answers: [ok, late(challenge), late(ok), late(challenge), late(ok)] })
  await slow.api.getForApp('Api')
  await t.rejects(slow.api.getForApp('Api', { timeout: 400 }), { code: 'FST_IDW_DOWNSTREAM_TIMEOUT', message: /within 400 ms/ })
})

t.test('a time-out while the first answer is discarded is the time-out of the call', async t => {
  const stuck: Answer = response => { response.writeHead(401, { 'www-authenticate': header, 'content-length': '100' }).write('x') }
  const { api } = await appWith(t, { answers: [ok, stuck] })
  await api.getForApp('Api')
  await t.rejects(api.callApi('Api', { timeout: 150 }), { code: 'FST_IDW_DOWNSTREAM_TIMEOUT', message: /within 150 ms/ })
})

t.test('calls that are challenged together share one acquisition', async t => {
  const held: (() => void)[] = []
  const together: Answer = (response, request) => {
    held.push(() => challenge(response, request))
    if (held.length === 5) for (const answer of held) answer()
  }
  const { api, askedClaims } = await appWith(t, { answers: [ok, ...Array.from({ length: 5 }, () => together)] })
  await api.getForApp('Api')
  t.strictSame(await Promise.all(Array.from({ length: 5 }, () => api.getForApp('Api'))), Array.from({ length: 5 }, () => done))
  t.strictSame(askedClaims(), [undefined, { nbf }])
})

t.test('a dispatcher of the user\'s carries both attempts', async t => {
  const dispatcher = new Agent()
  t.teardown(() => dispatcher.destroy())
  const { api, tokens, ports } = await appWith(t, { api: { dispatcher, retry: 1 } })
  t.strictSame(await api.getForApp('Api'), done)
  t.strictSame(tokens(), ['Bearer token-1', 'Bearer token-2'])
  t.equal(ports.size, 1)
})

t.test('an application that closes during the second acquisition ends the call', async t => {
  const asked = pending<void>()
  const { app, api } = await appWith(t, { tokenAnswers: [undefined, () => asked.resolve()] })
  const call = t.rejects(api.getForApp('Api'), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', message: /closing/ })
  await asked.promise
  await app.close()
  await call
})

t.test('Fastify answers a challenge that escapes from a handler with its header', async t => {
  const { request } = requestOfUser('alice')
  if (request.flow !== 'onBehalfOf') return
  const error = challengeUser(request, { claims })
  const { log, lines } = logOf()
  const app = await build(t, { downstreamApis: { Api: { baseUrl: 'https://api.example' } } }, app => { app.get('/', async () => { throw error }) }, log)

  const answer = await app.inject('/')

  t.equal(answer.statusCode, 401)
  t.equal(answer.headers['www-authenticate'], error.wwwAuthenticate)
  t.strictSame(answer.json(), { statusCode: 401, code: 'FST_IDW_CHALLENGE_USER', error: 'Unauthorized', message: error.message })
  t.notMatch(JSON.stringify(lines), 'alice')
})
