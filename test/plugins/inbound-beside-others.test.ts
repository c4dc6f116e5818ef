import t from 'tap'
import auth from '@fastify/auth'
import jwt from '@fastify/jwt'
import fastify, { type FastifyInstance } from 'fastify'
import identityWeb from '../../plugins/index.ts'
import { sectionOf, startAuthority } from '../fixtures/authority.ts'
import { buildProtected, outcomeOf } from '../fixtures/callers.ts'
import { otherTenantId } from '../fixtures/users.ts'

function application (t: { teardown (work: () => unknown): unknown }): FastifyInstance {
  const app: FastifyInstance = fastify()
  t.teardown(() => app.close())
  return app
}

t.test('@fastify/jwt that was registered before keeps its routes, and request.user is of whoever knew the caller', async t => {
  const authority = await startAuthority(t)
  const app = application(t)
  await app.register(jwt, { secret: 'a secret of the test' })
  await app.register(identityWeb, { config: { AzureAd: sectionOf(authority) }, inbound: true })
  app.get('/own', async request => {
    await request.jwtVerify()
    return { user: request.user }
  })
  app.get('/entra', { config: { auth: {} } }, request => ({ user: request.user }))
  app.get('/open', request => ({ user: request.user ?? null }))
  await app.ready()
  const call = async (url: string, token?: string) => outcomeOf(await app.inject({ url, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } }))

  const own = app.jwt.sign({ oid: 'own' })
  const entra = await authority.sign(authority.user({ oid: 'entra' }))
  t.match(await call('/own', own), { status: 200, body: { user: { oid: 'own' } } })
  t.match(await call('/entra', entra), { status: 200, body: { user: { oid: 'entra' } } })
  t.match(await call('/open'), { status: 200, body: { user: null } })
  t.match(await call('/entra', own), { status: 401, challenge: /invalid_token/ })
  t.ok((await call('/own', entra)).status >= 400)
})

t.test('@fastify/jwt that is registered later needs another name for its user, and says so', async t => {
  const authority = await startAuthority(t)
  const clashing = application(t)
  await clashing.register(identityWeb, { config: { AzureAd: sectionOf(authority) }, inbound: true })
  // As it does, outside of any promise.
  t.throws(() => clashing.decorateRequest('user', null), { code: 'FST_ERR_DEC_ALREADY_PRESENT' })

  const app = application(t)
  await app.register(identityWeb, { config: { AzureAd: sectionOf(authority) }, inbound: true })
  await app.register(jwt, { secret: 'x', decoratorName: 'ticket' })
  app.get('/', { config: { auth: {} } }, request => ({ user: request.user }))
  t.match(outcomeOf(await app.inject({ url: '/', headers: { authorization: `Bearer ${await authority.sign()}` } })), { status: 200, body: { user: { scp: 'Todo.Read Todo.Write' } } })
})

t.test('claims of another plugin name no caller: calls on behalf of a user are not made with them', async t => {
  const authority = await startAuthority(t)
  const app = application(t)
  await app.register(jwt, { secret: 'x' })
  await app.register(identityWeb, { config: { AzureAd: sectionOf(authority, { ClientSecret: 'x' }), Api: { BaseUrl: 'https://api.example/', Scopes: ['api://x/.default'] } }, inbound: true })
  app.get('/', async request => {
    await request.jwtVerify()
    return request.downstreamApi.getForUser('Api')
  })
  await app.ready()
  const token = app.jwt.sign({ ...authority.user() })
  t.match(outcomeOf(await app.inject({ url: '/', headers: { authorization: `Bearer ${token}` } })), { status: 401, challenge: 'Bearer', body: { code: 'FST_IDW_USER_TOKEN_REQUIRED' } })
  t.equal(authority.requests.length, 0)
})

t.test('@fastify/auth takes verifyBearer, alone and among others', async t => {
  const authority = await startAuthority(t)
  const app = application(t)
  await app.register(auth)
  await app.register(identityWeb, { config: { AzureAd: sectionOf(authority) }, inbound: true })
  const key = async (request: { headers: { 'x-key'?: string } }) => { if (request.headers['x-key'] !== 'k') throw Object.assign(new Error('no key'), { statusCode: 401 }) }
  app.get('/bearer', { preHandler: app.auth([app.verifyBearer]) }, request => ({ user: request.user }))
  app.get('/or', { preHandler: app.auth([key as never, app.verifyBearer]) }, request => ({ user: request.user }))
  app.get('/and', { preHandler: app.auth([key as never, app.verifyBearer], { relation: 'and' }) }, request => ({ user: request.user }))
  app.get('/hook', { onRequest: app.verifyBearer }, request => ({ user: request.user }))
  app.get('/scoped', { config: { auth: { scopes: ['Todo.Admin'] } }, preHandler: app.auth([app.verifyBearer]) }, () => 'in')
  await app.ready()
  const call = async (url: string, headers: Record<string, string> = {}) => outcomeOf(await app.inject({ url, headers }))
  const bearer = { authorization: `Bearer ${await authority.sign()}` }

  for (const url of ['/bearer', '/or', '/hook']) {
    t.match(await call(url, bearer), { status: 200, body: { user: { oid: /^aaaa/ } } }, url)
    t.match(await call(url), { status: 401, challenge: 'Bearer' }, url)
    t.match(await call(url, { authorization: 'Bearer x' }), { status: 401, challenge: /invalid_token/ }, url)
  }
  t.match(await call('/or', { 'x-key': 'k' }), { status: 200, body: { user: null } })
  t.match(await call('/and', { ...bearer, 'x-key': 'k' }), { status: 200, body: { user: { oid: /^aaaa/ } } })
  t.match(await call('/and', bearer), { status: 401 })
  t.match(await call('/and', { 'x-key': 'k' }), { status: 401, challenge: 'Bearer' })
  t.match(await call('/scoped', bearer), { status: 403, challenge: /insufficient_scope/ })
})

t.test('WWW-Authenticate goes out under any error handler, and from any context', async t => {
  const handlers: Record<string, (app: FastifyInstance) => void> = {
    sync: app => app.setErrorHandler((error, _request, reply) => { reply.code((error as { statusCode: number }).statusCode).send({ mine: true }) }),
    async: app => app.setErrorHandler(async (error, _request, reply) => {
      await null
      return reply.code((error as { statusCode: number }).statusCode).send({ mine: true })
    }),
    returning: app => app.setErrorHandler(async (error, _request, reply) => {
      reply.code((error as { statusCode: number }).statusCode)
      return { mine: true }
    }),
    again: app => app.setErrorHandler(error => { throw error }),
    asyncAgain: app => app.setErrorHandler(async error => {
      await null
      throw error
    }),
    replaced: app => app.setErrorHandler(async () => { throw Object.assign(new Error('mine'), { statusCode: 401 }) }),
    sends: app => app.setErrorHandler((error, _request, reply) => { reply.send(error) }),
  }
  const { call, authority } = await buildProtected(t, {
    routes: app => {
      for (const [name, set] of Object.entries(handlers)) {
        app.register(async child => {
          set(child)
          child.get('/', { config: { auth: { scopes: ['Todo.Admin'] } } }, () => 'in')
          child.get('/thrown', request => { throw new Error('not ours', { cause: request }) })
        }, { prefix: `/${name}` })
        app.register(async child => {
          set(child)
          child.register(async grandchild => { grandchild.get('/', { config: { auth: { scopes: ['Todo.Admin'] } } }, () => 'in') })
        }, { prefix: `/deep-${name}` })
      }
    }
  })
  const token = await authority.sign()
  for (const name of Object.keys(handlers).flatMap(name => [name, `deep-${name}`])) {
    t.match(await call(undefined, `/${name}`), { status: 401, challenge: 'Bearer' }, name)
    t.match(await call(token, `/${name}`), { status: name.endsWith('replaced') ? 401 : 403, challenge: /insufficient_scope.*scope="Todo.Admin"/ }, name)
    t.match(await call('x', `/${name}`), { status: 401, challenge: /invalid_token/ }, name)
    if (!name.startsWith('deep')) t.equal((await call(undefined, `/${name}/thrown`)).challenge, undefined, name)
  }
})

t.test('an error handler that fails itself ends in an answer, and the process goes on', async t => {
  const unhandled: unknown[] = []
  const note = (reason: unknown) => unhandled.push(reason)
  process.on('unhandledRejection', note)
  t.teardown(() => process.off('unhandledRejection', note))
  const { call, authority } = await buildProtected(t, {
    routes: app => {
      app.setErrorHandler((_error, _request, reply) => { reply.code(401).send({ get bad () { throw new Error('cannot be serialised') } }) })
      app.get('/', { config: { auth: { scopes: ['Todo.Admin'] } } }, () => 'in')
      app.get('/handler', { config: { auth: {} } }, () => { throw new Error('of the handler') })
      app.get('/send', { config: { auth: {} } }, (_request, reply) => { reply.send({ get bad () { throw new Error('cannot be serialised') } }) })
    }
  })
  const tokens = [undefined, 'x', await authority.sign(), await authority.sign()]
  for (const url of ['/', '/handler', '/send']) for (const token of tokens) t.ok((await call(token, url)).status >= 400, url)
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(unhandled, [])
})

t.test('hooks of the application that come before see no caller, those that come after do, and each runs once', async t => {
  const authority = await startAuthority(t)
  const app = application(t)
  const seen: unknown[] = []
  app.addHook('onRequest', (request, _reply, done) => {
    seen.push(['before', request.user ?? null])
    done()
  })
  await app.register(identityWeb, { config: { AzureAd: sectionOf(authority) }, inbound: true })
  app.addHook('onRequest', async request => { seen.push(['after', request.user?.oid]) })
  app.get('/', { config: { auth: {} }, preHandler: async request => { seen.push(['route', request.user?.oid]) } }, () => 'in')
  const headers = { authorization: `Bearer ${await authority.sign(authority.user({ oid: 'ada' }))}` }
  for (let round = 0; round < 2; round++) {
    t.equal((await app.inject({ url: '/', headers })).statusCode, 200)
    t.strictSame(seen.splice(0), [['before', null], ['after', 'ada'], ['route', 'ada']])
  }
  t.equal((await app.inject('/')).statusCode, 401)
  t.strictSame(seen, [['before', null]])
})

t.test('two registrations in sibling contexts take their own callers', async t => {
  const [authority, other] = [await startAuthority(t), await startAuthority(t)]
  const app = application(t)
  for (const [prefix, config, inbound] of [['/one', sectionOf(authority), true], ['/two', sectionOf(other, { TenantId: otherTenantId }), { requireByDefault: true }], ['/none', sectionOf(authority), false]] as const) {
    app.register(async child => {
      await child.register(identityWeb, { config: { AzureAd: config }, inbound })
      child.get('/', inbound === true ? { config: { auth: {} } } : {}, request => ({ user: request.user ?? null }))
    }, { prefix })
  }
  app.get('/', () => 'open')
  await app.ready()
  const call = async (url: string, token?: string) => outcomeOf(await app.inject({ url, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } }))
  const [one, two] = [await authority.sign(), await other.sign(other.user({ tid: otherTenantId, iss: other.issuer(otherTenantId) }))]

  t.match(await call('/one', one), { status: 200, body: { user: { iss: authority.issuer() } } })
  t.match(await call('/two', two), { status: 200, body: { user: { tid: otherTenantId } } })
  for (const [url, token] of [['/one', two], ['/two', one], ['/two', undefined]] as const) t.equal((await call(url, token)).status, 401, url)
  t.match(await call('/none', one), { status: 200, body: { user: null } })
  t.equal((await app.inject('/')).statusCode, 200)
})
