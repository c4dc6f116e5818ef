import t from 'tap'
import { Readable } from 'node:stream'
import { build } from '../fixtures/build.ts'
import { answerJson, startRawServer } from '../fixtures/raw-server.ts'
import { clientId, secret, tenantId } from '../fixtures/todo-api.ts'
import type { DownstreamApiOptions } from '../../lib/configuration/schema.ts'
import type { DownstreamRequest } from '../../lib/downstream/types.ts'

type Tap = Parameters<typeof startRawServer>[0]

const scopes = ['api://todo/.default']
const hookNames = ['onBeforeAuthHeaderCreation', 'onAfterAuthHeaderCreation', 'customizeHttpRequestMessage'] as const
const authorized = ['onAfterAuthHeaderCreation', 'customizeHttpRequestMessage'] as const

/** An application with one API; what reaches Entra ID and the API is noted in the order in which it does. */
async function appWith (t: Tap, options: object = {}) {
  const events: string[] = []
  const entra = await startRawServer(t, (_, response) => {
    events.push('token')
    answerJson(response, 200, { access_token: 'a-token', token_type: 'Bearer', expires_in: 3599 })
  })
  const server = await startRawServer(t, (_, response) => {
    events.push('call')
    answerJson(response, 200, { done: true })
  })
  const app = await build(t, {
    config: { AzureAd: { Instance: entra.origin, TenantId: tenantId, ClientId: clientId, ClientSecret: secret } },
    downstreamApis: { Api: { baseUrl: `${server.origin}/base`, scopes, ...options }, Open: { baseUrl: `${server.origin}/base` } },
  })
  return { api: app.downstreamApi, events, origin: server.origin, requests: server.requests, tokenRequests: entra.requests }
}

const later = () => new Promise(resolve => setImmediate(resolve))

t.test('the hooks run in the order of the model, each before the next begins, and only the first without Authorization', async t => {
  const { api, events, requests } = await appWith(t)
  const hook = (name: string, authorization: string | null) => async ({ headers }: DownstreamRequest) => {
    events.push(`${name} begins`)
    t.equal(headers.get('authorization'), authorization, name)
    headers.set(`x-${name}`, '1')
    await later()
    events.push(`${name} ends`)
  }

  await api.getForApp('Api', {
    onBeforeAuthHeaderCreation: hook('before', null),
    onAfterAuthHeaderCreation: hook('after', 'Bearer a-token'),
    customizeHttpRequestMessage: hook('customize', 'Bearer a-token'),
  })

  t.strictSame(events, ['before begins', 'before ends', 'token', 'after begins', 'after ends', 'customize begins', 'customize ends', 'call'])
  t.match(requests, [{ headers: { authorization: 'Bearer a-token', 'x-before': '1', 'x-after': '1', 'x-customize': '1' } }])
})

t.test('a stream that a hook has put in, and that breaks off before the next, fails the call and nothing else', async t => {
  const { api } = await appWith(t)
  for (const [put, next] of [hookNames.slice(0, 2), hookNames.slice(1)] as [string, string][]) {
    const reason = new Error('no such file')
    const stream = new Readable({ read () {} })
    await t.rejects(api.postForApp('Api', 'text', {
      [put]: (request: DownstreamRequest) => { request.body = stream },
      [next]: async () => {
        const closed = new Promise(resolve => { stream.once('close', resolve) })
        stream.destroy(reason)
        await closed
      },
    }), { code: 'FST_IDW_DOWNSTREAM_UNREACHABLE', cause: reason } as never, put)
  }
})

t.test('hooks of a section run on every call, those of a call instead of them, and hooks need not be async', async t => {
  const seen: string[] = []
  const hooks = Object.fromEntries(hookNames.map(name => [name, () => { seen.push(`section ${name}`) }]))
  const { api } = await appWith(t, hooks)

  await api.getForApp('Api')
  await (await api.callApiForApp('Api', { customizeHttpRequestMessage: () => { seen.push('call') } })).discard()
  await api.getForApp('Api', options => { options.onAfterAuthHeaderCreation = () => { seen.push('function') } })

  t.strictSame(seen, [
    ...hookNames.map(name => `section ${name}`),
    'section onBeforeAuthHeaderCreation', 'section onAfterAuthHeaderCreation', 'call',
    'section onBeforeAuthHeaderCreation', 'function', 'section customizeHttpRequestMessage',
  ])
})

t.test('without a token only customizeHttpRequestMessage runs', async t => {
  const { api, events } = await appWith(t)
  await api.getForApp('Open', Object.fromEntries(hookNames.map(name => [name, () => { events.push(name) }])))
  t.strictSame(events, ['customizeHttpRequestMessage', 'call'])
})

t.test('a hook may change method, headers, body and the path inside the API', async t => {
  const { api, origin, requests } = await appWith(t)

  await api.postForApp('Api', { a: 1 }, {
    relativePath: 'todos',
    customizeHttpRequestMessage (request) {
      t.match(request, { method: 'POST', url: `${origin}/base/todos`, body: '{"a":1}' })
      request.method = 'PUT'
      request.url = `${request.url}/7?signature=x%2Fy`
      request.body = 'other'
      request.headers.set('content-type', 'text/plain')
      request.headers.delete('accept')
    },
  })

  t.match(requests, [{ method: 'PUT', url: '/base/todos/7?signature=x%2Fy', body: 'other', headers: { 'content-type': 'text/plain', authorization: 'Bearer a-token', accept: undefined } }])
})

t.test('an Authorization that the first hook sets is not sent; one that a later hook sets is', async t => {
  const { api, requests } = await appWith(t)
  const set = ({ headers }: DownstreamRequest) => headers.set('authorization', 'Bearer of-the-hook')

  await api.getForApp('Api', { onBeforeAuthHeaderCreation: set })
  for (const name of authorized) await api.getForApp('Api', { [name]: set })

  t.strictSame(requests.map(({ headers }) => headers.authorization), ['Bearer a-token', 'Bearer of-the-hook', 'Bearer of-the-hook'])
})

t.test('a URL that a hook changes does not lead out of the API', async t => {
  const elsewhere = await startRawServer(t, (_, response) => answerJson(response, 200, {}))
  const { api, requests, origin } = await appWith(t)
  const { host } = new URL(origin)
  const urls = [
    elsewhere.origin, `${elsewhere.origin}/base/todos`, `${origin}/`, `${origin}/other`, `${origin}/basement`, `${origin}/base/../other`, `${origin}/base/%2e%2e/other`, `${origin}/base/..%2fother`, `${origin}/base/%252e%252e/other`,
    `${origin}/base\\..\\other`, `${origin}/base/a%5c..%5cother`, `${origin}/base/..;/other`, `${origin}/base/a#b`, `${origin}/base/a b`, `${origin}/base/a\r\nx: y`, `${origin}/base/a\tb`,
    `http://user:pw@${host}/base/todos`, `http://${host}@${new URL(elsewhere.origin).host}/base/todos`, `https://${host}/base/todos`, `//${host}/base/todos`, '/base/todos', 'todos', '', 'not a url', 'javascript:1',
  ]
  for (const name of hookNames) {
    for (const url of urls) {
      await t.rejects(api.getForApp('Api', { [name]: async (request: DownstreamRequest) => { await later(); request.url = url } }), { code: 'FST_IDW_URL_NOT_ALLOWED' }, `${name}: ${JSON.stringify(url)}`)
    }
  }
  t.strictSame([requests, elsewhere.requests], [[], []])
})

t.test('a header that a hook writes stays one header', async t => {
  const { api, requests, tokenRequests } = await appWith(t)
  for (const name of hookNames) {
    await t.rejects(api.getForApp('Api', { [name]: ({ headers }: DownstreamRequest) => { headers.set('x-a', 'b\r\nx-c: d') } }), TypeError)
    await t.rejects(api.getForApp('Api', { [name]: ({ headers }: DownstreamRequest) => { headers.set('x-a\r\nx-c', 'd') } }), TypeError)
  }
  // Fetch's Headers let this pass, HTTP does not.
  await t.rejects(api.getForApp('Api', { customizeHttpRequestMessage: ({ headers }) => { headers.set('x-a', 'b\u007f') } }), { code: 'FST_IDW_CONFIG_INVALID', message: /Api: the request cannot be sent: .*x-a/ })
  t.strictSame(requests, [])
  t.equal(tokenRequests.length, 1)
})

t.test('what a hook leaves that cannot be sent is a fault of the configuration', async t => {
  const { api, requests } = await appWith(t)
  for (const change of [
    (request: DownstreamRequest) => { request.body = { not: 'serialised' } },
    (request: DownstreamRequest) => { request.body = 7 },
    (request: DownstreamRequest) => { request.method = 'GET / HTTP/1.1\r\nx: y' },
    ({ headers }: DownstreamRequest) => { headers.set('transfer-encoding', 'gzip') },
  ]) {
    await t.rejects(api.postForApp('Api', {}, { customizeHttpRequestMessage: change }), { code: 'FST_IDW_CONFIG_INVALID', statusCode: 500, message: /Api: the request cannot be sent/, cause: Error } as never)
  }
  t.strictSame(requests, [])
})

t.test('what a hook throws is what the call rejects with, and nothing is sent', async t => {
  const { api, requests, tokenRequests } = await appWith(t)
  const reason = new Error('not today')
  for (const name of hookNames) {
    await t.rejects(api.getForApp('Api', { [name]: () => { throw reason } }), reason)
    await t.rejects(api.callApiForApp('Api', { [name]: () => Promise.reject(reason) }), reason)
  }
  t.strictSame(requests, [])
  t.equal(tokenRequests.length, 1, 'a hook before the token keeps it from being acquired')
})

t.test('a hook that never ends is ended by the timeout and by an abort', async t => {
  const { api, requests } = await appWith(t)
  for (const name of hookNames) {
    const never: DownstreamApiOptions['customizeHttpRequestMessage'] = () => new Promise<void>(() => {})
    await t.rejects(api.getForApp('Api', { [name]: never, timeout: 20 }), { code: 'FST_IDW_DOWNSTREAM_TIMEOUT' })
    const caller = new AbortController()
    const call = api.getForApp('Api', { [name]: never, signal: caller.signal })
    caller.abort(new Error('gone'))
    await t.rejects(call, { message: 'gone' })
  }
  t.strictSame(requests, [])
})
