import t from 'tap'
import fastify, { type FastifyInstance } from 'fastify'
import identityWeb from '../../plugins/index.ts'
import { sectionOf, startAuthority } from '../fixtures/authority.ts'
import { buildProtected, outcomeOf } from '../fixtures/callers.ts'
import { tenantId } from '../fixtures/todo-api.ts'

const config = (auth?: object) => auth === undefined ? {} : { config: { auth } }

t.test('with requireByDefault every route needs a caller: undeclared ones, HEAD, OPTIONS, what matches none, and routes that were registered before', async t => {
  const authority = await startAuthority(t)
  const app = fastify()
  t.teardown(() => app.close())
  app.get('/before', request => ({ user: request.user }))
  app.register(async child => {
    child.get('/before-in-child', request => ({ user: request.user }))
    child.register(async grandchild => { grandchild.get('/deep', config({ scopes: ['Other'] }), () => 'in') })
    child.setNotFoundHandler((_request, reply) => reply.code(404).send('mine'))
  }, { prefix: '/child' })
  await app.register(identityWeb, { config: { AzureAd: sectionOf(authority) }, inbound: { requireByDefault: true } })
  app.get('/after', request => ({ user: request.user }))
  app.options('/after', () => 'options')
  app.route({ method: ['PUT', 'DELETE'], url: '/both', handler: () => 'both' })
  app.all('/all/*', () => 'all')
  app.register(async child => {
    child.get('/after-in-child', request => ({ user: request.user }))
    child.setNotFoundHandler((_request, reply) => reply.code(404).send('mine'))
  }, { prefix: '/other' })
  await app.ready()

  const token = await authority.sign()
  const requests = [['GET', '/before'], ['HEAD', '/before'], ['GET', '/child/before-in-child'], ['HEAD', '/child/before-in-child'], ['GET', '/after'], ['HEAD', '/after'], ['OPTIONS', '/after'], ['PUT', '/both'], ['DELETE', '/both'], ['PATCH', '/all/x'], ['GET', '/other/after-in-child']] as const
  for (const [method, url] of requests) {
    t.match(outcomeOf(await app.inject({ method, url })), { status: 401, challenge: 'Bearer' }, `${method} ${url}`)
    const { status, body } = outcomeOf(await app.inject({ method, url, headers: { authorization: `Bearer ${token}` } }))
    t.equal(status, 200, `${method} ${url}`)
    if (body['user'] !== undefined) t.match(body['user'], { tid: tenantId })
  }
  for (const [method, url] of [['GET', '/none'], ['HEAD', '/none'], ['OPTIONS', '/none'], ['POST', '/after'], ['GET', '/child/none'], ['GET', '/other/none'], ['GET', '/child/deep/none'], ['GET', '//after'], ['GET', '/AFTER']] as const) {
    t.match(outcomeOf(await app.inject({ method, url })), { status: 401, challenge: 'Bearer' }, `${method} ${url}`)
    t.equal((await app.inject({ method, url, headers: { authorization: `Bearer ${token}` } })).statusCode, 404, `${method} ${url}`)
  }
  t.equal((await app.inject({ url: '/child/deep', headers: { authorization: `Bearer ${token}` } })).statusCode, 403, 'what a route declared before counts')
  t.equal((await app.inject({ url: '/child/deep' })).statusCode, 401)
})

t.test('a route that was registered before, and declares what does not hold, answers nobody', async t => {
  const authority = await startAuthority(t)
  const app = fastify()
  t.teardown(() => app.close())
  for (const [index, auth] of [undefined, null, 'x', {}, { scopes: [] }, { nobody: true }].entries()) app.get(`/${index}`, { config: { auth: auth as never } }, () => 'in')
  await app.register(identityWeb, { config: { AzureAd: sectionOf(authority) }, inbound: true })
  await app.ready()
  for (const [index, status] of [500, 500, 500, 401, 500, 500].entries()) t.equal((await app.inject(`/${index}`)).statusCode, status, String(index))
})

t.test('request.user is null on an open route, also on one that was registered before in a context of its own', async t => {
  const authority = await startAuthority(t)
  const app = fastify()
  t.teardown(() => app.close())
  app.register(async child => { child.get('/before', request => ({ isNull: request.user === null })) })
  app.get('/own', request => ({ isNull: request.user === null }))
  await app.register(identityWeb, { config: { AzureAd: sectionOf(authority) }, inbound: true })
  app.setNotFoundHandler((request, reply) => reply.code(404).send({ isNull: request.user === null }))
  for (const url of ['/before', '/own', '/none']) t.strictSame((await app.inject(url)).json(), { isNull: true }, url)
})

t.test('without requireByDefault only what declares a caller needs one, HEAD of it, too', async t => {
  const { call, authority, app } = await buildProtected(t)
  for (const url of ['/anybody', '/read', '/run']) for (const method of ['GET', 'HEAD'] as const) t.match(await call(undefined, url, method), { status: 401, challenge: 'Bearer' }, `${method} ${url}`)
  t.match(await call(undefined, '/open'), { status: 200, body: { user: null } })
  t.match(await call('no token', '/open'), { status: 200, body: { user: null } }, 'nobody looks at it')
  t.match(await call(await authority.sign(), '/open'), { status: 200, body: { user: null } })
  t.equal((await app.inject('/none')).statusCode, 404)
})

t.test('config.auth without the option inbound is a fault, never an open route', async t => {
  const authority = await startAuthority(t)
  for (const inbound of [undefined, false, 'false']) {
    const app = fastify()
    t.teardown(() => app.close())
    await app.register(identityWeb, { config: { AzureAd: sectionOf(authority) }, ...inbound !== undefined && { inbound: inbound as never } })
    app.get('/a', config({ scopes: ['x'] }), () => '')
    app.get('/b', config({}), () => '')
    app.get('/c', { config: { auth: undefined as never } }, () => '')
    await t.rejects(async () => app.ready(), { code: 'FST_IDW_CONFIG_INVALID', faults: ['a', 'b', 'c'].map(name => `route GET /${name} config.auth: needs inbound validation of the caller, which is not on: set the option inbound`) })
    t.notOk(app.hasDecorator('verifyBearer'))
  }
})

t.test('every fault of config.auth is told at once, with its route', async t => {
  const faulty: [unknown, RegExp][] = [
    [undefined, /\/0 config\.auth: is empty/], [null, /\/1 config\.auth: is empty/], ['user', /\/2 config\.auth: expected an object/], [7, /\/3 config\.auth: expected an object/], [true, /\/4 config\.auth: expected an object/],
    [{ scopes: [] }, /\/5 config\.auth\.scopes: expected at least one/], [{ roles: [] }, /\/6 config\.auth\.roles: expected at least one/], [{ roles: [''] }, /\/7 config\.auth\.roles\[0\]: /], [{ allow: 'all' }, /\/8 config\.auth\.allow: expected user, app or any/],
    [{ scope: ['x'] }, /\/9 config\.auth\.scope: .*scopes/], [{ scopes: ['x'], allow: 'app' }, /\/10 config\.auth: nobody could call the route: scopes are of users/], [{ roles: ['x'], allow: 'user' }, /\/11 config\.auth: nobody could call the route: roles of users count only where allow is any/], [{ scopes: [7] }, /\/12 config\.auth\.scopes\[0\]: /],
  ]
  const error = await buildProtected(t, { routes: app => { for (const [index, [auth]] of faulty.entries()) app.get(`/${index}`, { config: { auth: auth as never } }, () => '') } }).catch((error: unknown) => error) as { faults: string[] }
  t.equal(error.faults?.length, faulty.length, String(error.faults?.join('\n')))
  for (const [index, [, fault]] of faulty.entries()) t.match(error.faults[index], fault)
})

t.test('what a route declares is fixed when it is registered: later changes of the object do nothing', async t => {
  const auth = { scopes: ['Todo.Admin'] }
  const { callWith } = await buildProtected(t, {
    routes: (app: FastifyInstance) => {
      app.get('/a', config(auth), () => 'in')
      app.get('/b', config(auth), () => 'in')
    }
  })
  auth.scopes[0] = 'Todo.Read'
  for (const url of ['/a', '/b']) t.equal((await callWith({}, url)).status, 403)
})

t.test('the caller of one request is nobody in the next', async t => {
  const { call, authority, app } = await buildProtected(t)
  t.equal((await call(await authority.sign())).status, 200)
  t.match(await call(undefined, '/open'), { body: { user: null } })
  const outcomes = await Promise.all(Array.from({ length: 200 }, async (_, index) => {
    const oid = `user-${index % 20}`
    const { body } = await call(index % 3 === 0 ? undefined : await authority.sign(authority.user({ oid })), index % 3 === 0 ? '/open' : '/anybody')
    return { oid: index % 3 === 0 ? undefined : oid, seen: (body['user'] as { oid?: string } | null)?.oid }
  }))
  for (const { oid, seen } of outcomes) t.equal(seen, oid)
  t.ok(app)
})
