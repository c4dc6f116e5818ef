import t from 'tap'
import { buildIn, startWorld } from '../fixtures/build.ts'
import { scope, userAssignedClientId } from '../fixtures/todo-api.ts'

const identities = {
  'a client credential': {},
  'the system-assigned identity': { managedIdentity: {} },
  'a user-assigned identity': { managedIdentity: { userAssignedClientId } },
}

for (const [identity, acquireTokenOptions] of Object.entries(identities)) {
  t.test(`1,000 concurrent cold calls with ${identity} make one token request`, async t => {
    const world = await startWorld(t)
    const app = await buildIn(t, world)
    const provider = app.authorizationHeaderProvider

    const headers = await Promise.all(Array.from({ length: 1000 }, () => provider.createAuthorizationHeaderForApp(scope, { acquireTokenOptions })))

    t.equal(world.entra.tokenRequests.length, 1)
    t.equal(new Set(headers).size, 1)
  })
}

t.test('1,000 concurrent cold calls of an API with three identities make three token requests', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world)
  const options = Object.values(identities)

  await Promise.all(Array.from({ length: 1000 }, (_, index) => app.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: options[index % 3]! })))

  t.equal(world.entra.tokenRequests.length, 3)
  t.equal(world.todoApi.callers.length, 1000)
})

t.test('a second call within the lifetime is answered from the cache', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world)

  const first = await app.tokenAcquirer.getTokenForApp(scope)
  const second = await app.tokenAcquirer.getTokenForApp(scope)

  t.match([first.tokenSource, second.tokenSource], ['identity-provider', 'cache'])
  t.equal(second.accessToken, first.accessToken)
  t.equal(world.entra.tokenRequests.length, 1)
})

t.test('forceRefresh and claims go past the cache, and replace the token at hand', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world)
  for (const managedIdentity of [undefined, {}]) {
    const base = managedIdentity && { managedIdentity }
    const first = await app.tokenAcquirer.getTokenForApp(scope, base)
    const forced = await app.tokenAcquirer.getTokenForApp(scope, { ...base, forceRefresh: true })
    t.equal((await app.tokenAcquirer.getTokenForApp(scope, base)).accessToken, forced.accessToken)
    const claimed = await app.tokenAcquirer.getTokenForApp(scope, { ...base, claims: '{"access_token":{"nbf":{"essential":true}}}' })
    t.equal((await app.tokenAcquirer.getTokenForApp(scope, base)).accessToken, claimed.accessToken)

    t.equal(new Set([first, forced, claimed].map(({ accessToken }) => accessToken)).size, 3)
  }
})

t.test('a forced call does not join an acquisition that was under way', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world)

  await Promise.all([app.tokenAcquirer.getTokenForApp(scope), app.tokenAcquirer.getTokenForApp(scope, { forceRefresh: true })])

  t.equal(world.entra.tokenRequests.length, 2)
})
