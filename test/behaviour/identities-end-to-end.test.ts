import t from 'tap'
import fastify from 'fastify'
import identityWeb from '../../plugins/index.ts'
import { build, buildIn, startWorld } from '../fixtures/build.ts'
import { apiClientId, appSettings, clientId, scope, tenantId, userAssignedClientId } from '../fixtures/todo-api.ts'

const todos = [{ id: 1, title: 'write the tests first' }]

t.test('client secret: the sections of a .NET application load unchanged, and the API verifies the app\'s token', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world)

  t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos)

  const { client } = world.identities
  t.match(world.todoApi.callers, [{ aud: apiClientId, azp: clientId, oid: client.objectId, sub: client.objectId, tid: tenantId, roles: ['Todo.Read'], iss: world.entra.issuer(tenantId), ver: '2.0' }])
})

t.test('user-assigned: the API verifies the token of the managed identity that the section names', async t => {
  for (const [key, id] of [['UserAssignedClientId', 'clientId'], ['UserAssignedObjectId', 'objectId'], ['UserAssignedResourceId', 'resourceId']] as const) {
    const world = await startWorld(t)
    const { userAssigned } = world.identities
    const app = await buildIn(t, world, { ManagedIdentity: { [key]: userAssigned[id] } })

    t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos, key)
    t.match(world.todoApi.callers, [{ aud: apiClientId, azp: userAssignedClientId, oid: userAssigned.objectId, roles: ['Todo.Read'] }])
  }
})

t.test('system-assigned: "ManagedIdentity": {} counts as present, and needs no AzureAd section', async t => {
  const world = await startWorld(t)
  const { MyWebApi } = appSettings(world.entra, world.todoApi.baseUrl, { ManagedIdentity: {} })
  const app = await build(t, { config: { MyWebApi } })

  t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos)
  t.match(world.todoApi.callers, [{ aud: apiClientId, oid: world.identities.systemAssigned.objectId, roles: ['Todo.Read'] }])
})

t.test('managed identity given in code: as an option of a call, and of a header', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world)
  const managedIdentity = { userAssignedClientId }

  t.strictSame(await app.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { managedIdentity } }), todos)
  t.strictSame(await app.downstreamApi.getForApp('MyWebApi', options => { options.acquireTokenOptions = { managedIdentity: {} } }), todos)
  const header = await app.authorizationHeaderProvider.createAuthorizationHeaderForApp(scope, { acquireTokenOptions: { managedIdentity } })
  t.strictSame(await (await fetch(`${world.todoApi.baseUrl}api/TodoList`, { headers: { authorization: header } })).json(), todos)

  t.match(world.todoApi.callers.map(({ oid }) => oid), [world.identities.userAssigned.objectId, world.identities.systemAssigned.objectId, world.identities.userAssigned.objectId])
})

t.test('a body is sent with the token, also where the token is at hand', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world)

  for (const title of ['first', 'second']) t.strictSame(await app.downstreamApi.postForApp('MyWebApi', { title }), { created: { title } })
  t.equal(world.entra.tokenRequests.length, 1)
})

t.test('the same through IMDS', async t => {
  const world = await startWorld(t)
  for (const name of Object.keys(world.entra.env)) delete process.env[name]
  Object.assign(process.env, world.entra.envOf('imds'))
  const app = await buildIn(t, world, { ManagedIdentity: {} })

  t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos)
  t.strictSame(await app.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { managedIdentity: { userAssignedResourceId: world.identities.userAssigned.resourceId } } }), todos)
  t.match(world.entra.tokenRequests, [{ path: /^\/metadata\/identity/ }, { path: /^\/metadata\/identity/ }])
})

t.test('the configuration may come from fastify.config, nested, flat or as JSON text', async t => {
  const world = await startWorld(t)
  const { AzureAd, MyWebApi } = appSettings(world.entra, world.todoApi.baseUrl)
  const flat = {
    AZUREAD__INSTANCE: AzureAd.Instance,
    AzureAd__TenantId: tenantId,
    AzureAd__ClientId: clientId,
    AzureAd__ClientCredentials__0__SourceType: 'ClientSecret',
    AzureAd__ClientCredentials__0__ClientSecret: AzureAd.ClientCredentials[0]?.ClientSecret,
    MyWebApi__BaseUrl: MyWebApi.BaseUrl,
    MyWebApi__RelativePath: 'api/TodoList',
    MyWebApi__RequestAppToken: 'true',
    MyWebApi__Scopes: scope,
  }
  for (const config of [{ AzureAd, MyWebApi }, flat, { AzureAd: JSON.stringify(AzureAd), MyWebApi: JSON.stringify(MyWebApi), PORT: '3000' }]) {
    const app = fastify()
    t.teardown(() => app.close())
    app.decorate('config', config as never)
    await app.register(identityWeb)

    t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos)
  }
})
