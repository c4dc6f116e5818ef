import t from 'tap'
import swagger from '@fastify/swagger'
import fastify, { type FastifyInstance } from 'fastify'
import identityWeb, { openApiTransform } from '../../plugins/index.ts'
import { sectionOf, startAuthority, type TestAuthority } from '../fixtures/authority.ts'
import { clientId, tenantId } from '../fixtures/todo-api.ts'

type Transform = ReturnType<typeof openApiTransform>
const mine = { type: 'apiKey', name: 'x-key', in: 'header' }

interface Operation { readonly security?: object[], readonly responses: Record<string, unknown>, readonly summary?: string }
interface Document { readonly paths: Record<string, Record<string, Operation>>, readonly components: { readonly securitySchemes?: Record<string, unknown> } }

async function documentOf (t: { teardown (work: () => unknown): unknown }, { authority, openapi = { components: { securitySchemes: { mine } } }, transform = openApiTransform(), section = {}, inbound = {}, routes }: { authority: TestAuthority, openapi?: object, transform?: Transform, section?: object, inbound?: object, routes?: (app: FastifyInstance) => void }) {
  const app: FastifyInstance = fastify()
  t.teardown(() => app.close())
  await app.register(swagger, { openapi, transform } as never)
  await app.register(identityWeb, { config: { AzureAd: sectionOf(authority, section) }, inbound })
  if (routes !== undefined) routes(app)
  else {
    app.get('/read', { config: { auth: { scopes: ['Todo.Read', 'Todo.Write'] } }, schema: { summary: 'reads', response: { 200: { type: 'string' } } } }, () => '')
    app.get('/admin', { config: { auth: { scopes: ['Todo.Admin'] } } }, () => '')
    app.get('/run', { config: { auth: { roles: ['Todo.Run'] } } }, () => '')
    app.get('/own', { config: { auth: {} }, schema: { security: [{ mine: [] }], response: { 401: { description: 'mine', type: 'null' } } } }, () => '')
    app.get('/open', { schema: { summary: 'open' } }, () => '')
  }
  await app.ready()
  return { app, document: app.swagger() as unknown as Document }
}

t.test('the document says who may call each route: scheme, scopes as alternatives, 401 and 403', async t => {
  const authority = await startAuthority(t)
  const { app, document } = await documentOf(t, { authority })
  const scope = (name: string) => `api://${clientId}/${name}`
  const base = `${authority.instance}${tenantId}/oauth2/v2.0/`
  t.strictSame(document.components.securitySchemes, { mine, entraId: { type: 'oauth2', flows: { authorizationCode: { authorizationUrl: `${base}authorize`, tokenUrl: `${base}token`, scopes: { [scope('Todo.Read')]: 'Todo.Read', [scope('Todo.Write')]: 'Todo.Write', [scope('Todo.Admin')]: 'Todo.Admin' } } } } })
  const { paths } = document
  t.match(paths['/read']!['get'], { summary: 'reads', security: [{ entraId: [scope('Todo.Read')] }, { entraId: [scope('Todo.Write')] }] })
  t.strictSame(Object.keys(paths['/read']!['get']!.responses), ['200', '401', '403'])
  t.strictSame(paths['/admin']!['get']!.security, [{ entraId: [scope('Todo.Admin')] }])
  t.strictSame(paths['/run']!['get']!.security, [{ entraId: [] }])
  t.match(paths['/own']!['get'], { security: [{ mine: [] }], responses: { 401: { description: 'mine' }, 403: { description: 'The caller may not do this' } } })
  t.equal(paths['/open']!['get']!.security, undefined)
  t.strictSame(Object.keys(paths['/open']!['get']!.responses), ['200'])
  t.strictSame(app.swagger(), document, 'as often as it is made')
})

t.test('what routes answer is not changed by what the document says of them', async t => {
  const authority = await startAuthority(t)
  const { app } = await documentOf(t, { authority })
  t.match((await app.inject('/read')).json(), { statusCode: 401, code: 'FST_IDW_UNAUTHORIZED', message: /bearer token/ })
  t.match((await app.inject({ url: '/admin', headers: { authorization: `Bearer ${await authority.sign()}` } })).json(), { statusCode: 403, code: 'FST_IDW_FORBIDDEN' })
})

t.test('another transform runs before, and what it makes is kept', async t => {
  const authority = await startAuthority(t)
  const { document } = await documentOf(t, { authority, transform: openApiTransform(({ schema, url }) => ({ schema: { ...schema, summary: `of ${url}` }, url: `/v1${url}` })) })
  t.match(document.paths['/v1/read']!['get'], { summary: 'of /read', security: [{}, {}] })
  t.match(document.paths['/v1/open']!['get'], { summary: 'of /open', security: undefined })
})

t.test('a scheme that the application describes itself under the name is left as it is, but for the scopes that it lacks', async t => {
  const authority = await startAuthority(t)
  const bearer = { type: 'http', scheme: 'bearer' }
  const other = await documentOf(t, { authority, openapi: { components: { securitySchemes: { entraId: bearer, mine: bearer } } } })
  t.strictSame(other.document.components.securitySchemes, { entraId: bearer, mine: bearer })

  const scopes = { [`api://${clientId}/Todo.Read`]: 'reads todos' }
  const given = { type: 'oauth2', flows: { authorizationCode: { authorizationUrl: 'https://a.example/', tokenUrl: 'https://t.example/', scopes } } }
  const { document } = await documentOf(t, { authority, openapi: { components: { securitySchemes: { entraId: given, mine } } } })
  t.match(document.components.securitySchemes, { entraId: { flows: { authorizationCode: { tokenUrl: 'https://t.example/', scopes: { ...scopes, [`api://${clientId}/Todo.Write`]: 'Todo.Write' } } } } })
})

t.test('scopes are of the App ID URI, wherever it stands among the audiences', async t => {
  const authority = await startAuthority(t)
  const routes = (app: FastifyInstance) => { app.get('/', { config: { auth: { scopes: ['Read'] } } }, () => '') }
  const scopeOf = async (inbound: object) => (await documentOf(t, { authority, routes, inbound })).document.paths['/']!['get']!.security
  t.strictSame(await scopeOf({ audiences: [clientId, 'https://todo.example/api/'] }), [{ entraId: ['https://todo.example/api/Read'] }])
  t.strictSame(await scopeOf({ audiences: [clientId] }), [{ entraId: [`${clientId}/Read`] }])
})

t.test('a document of Swagger 2, and one without a protected route, are left as they are', async t => {
  const authority = await startAuthority(t)
  const app: FastifyInstance = fastify()
  t.teardown(() => app.close())
  await app.register(swagger, { transform: openApiTransform() } as never)
  await app.register(identityWeb, { config: { AzureAd: sectionOf(authority) }, inbound: true })
  app.get('/', { config: { auth: {} } }, () => '')
  await app.ready()
  t.equal((app.swagger() as unknown as Document).paths['/']!['get']!.security, undefined)

  const { document } = await documentOf(t, { authority, routes: app => { app.get('/', () => '') } })
  t.strictSame(document.components.securitySchemes, { mine })
})
