import t from 'tap'
import { EventEmitter, once } from 'node:events'
import { connect } from 'node:net'
import fastify from 'fastify'
import identityWeb from '../../plugins/index.ts'
import { build } from '../fixtures/build.ts'
import { answerJson, startRawServer } from '../fixtures/raw-server.ts'

t.test('a route that has read a body calls on: reading it to its end is not the client going away', async t => {
  const server = await startRawServer(t, ({ body }, response) => setImmediate(() => answerJson(response, 200, { body })))
  const app = await build(t, { downstreamApis: { Api: { baseUrl: server.origin } } }, app => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
      app.route({ method, url: '/', handler: request => request.downstreamApi.postForApp('Api', request.body) })
    }
  })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })

  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    const response = await fetch(address, { method, headers: { 'content-type': 'application/json' }, body: '{"a":1}' })
    t.match(await response.json(), { body: '{"a":1}' }, method)
  }
})

t.test('a client that goes away ends the call that is made for it', async t => {
  const called = new EventEmitter()
  const server = await startRawServer(t, (_, response) => called.emit('call', once(response, 'close')))
  let outcome: Promise<unknown> | undefined
  const app = await build(t, { downstreamApis: { Api: { baseUrl: server.origin } } }, app => {
    app.get('/', async request => {
      outcome = request.downstreamApi.getForApp('Api').catch((error: unknown) => error)
      await outcome
    })
  })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })

  const client = connect(Number(new URL(address).port), '127.0.0.1')
  client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  const [gone] = await once(called, 'call') as [Promise<unknown>]
  client.destroy()

  await gone
  t.match(await outcome, { name: 'AbortError' })
})

t.test('what a route goes on with after its answer is not ended by it', async t => {
  const server = await startRawServer(t, (_, response) => setImmediate(() => answerJson(response, 200, { ok: true })))
  let later: Promise<unknown> | undefined
  const app = await build(t, { downstreamApis: { Api: { baseUrl: server.origin } } }, app => {
    app.get('/', async (request, reply) => {
      later = new Promise(resolve => reply.raw.once('close', resolve)).then(() => request.downstreamApi.getForApp('Api'))
      return 'answered'
    })
  })

  t.equal(await (await fetch(await app.listen({ port: 0, host: '127.0.0.1' }))).text(), 'answered')
  t.strictSame(await later, { ok: true })
})

t.test('a route that was registered before the plugin, and declares what does not hold, answers nothing but that', async t => {
  const server = await startRawServer(t, (_, response) => answerJson(response, 200, {}))
  const app = fastify()
  t.teardown(() => app.close())
  app.register(identityWeb, { downstreamApis: { Api: { baseUrl: server.origin } } })
  app.get('/unknown', { config: { downstreamApi: { Nothing: { identity: 'client-credential' } } } }, () => 'open')
  app.get('/protected', { config: { auth: { scopes: ['Todo.Read'] } } as never }, () => 'open')
  app.get('/sound', { config: { downstreamApi: { Api: { relativePath: 'x' } } } }, request => request.downstreamApi.getForApp('Api'))
  await app.ready()

  t.match((await app.inject('/unknown')).json(), { code: 'FST_IDW_CONFIG_INVALID', message: /route GET \/unknown config\.downstreamApi\.Nothing: / })
  t.match((await app.inject('/protected')).json(), { code: 'FST_IDW_CONFIG_INVALID', message: /route GET \/protected config\.auth: / })
  t.equal((await app.inject('/sound')).statusCode, 200)
})
