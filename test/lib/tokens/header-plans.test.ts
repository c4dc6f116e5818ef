import t from 'tap'
import { HeaderPlans } from '../../../lib/tokens/header-plans.ts'
import type { PreparedRequest } from '../../../lib/tokens/token-request.ts'
import { buildIn, startWorld } from '../../fixtures/build.ts'
import { scope } from '../../fixtures/todo-api.ts'

const prepared = {} as PreparedRequest

t.test('what was asked for before is found by what was said, and by nothing else', async t => {
  const plans = new HeaderPlans()
  plans.set('app', 'a', undefined, prepared)
  plans.set('app', 'b', { requestAppToken: true }, prepared)

  t.equal(plans.get('app', 'a', undefined), prepared)
  t.equal(plans.get('app', 'b', { requestAppToken: true }), prepared)
  for (const [caller, asked, options] of [['user', 'a', undefined], ['app', 'b', undefined], ['app', ['a'], undefined], ['app', 'b', {}], ['app', '["app","a"]', undefined]] as const) {
    t.equal(plans.get(caller, asked, options), undefined)
  }
})

t.test('options that have no JSON, or say more than it, are never taken for others', async t => {
  const plans = new HeaderPlans()
  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  for (const options of [{ acquireTokenOptions: { managedIdentity: { userAssignedClientId: undefined } } }, { a: () => {} }, { a: Symbol('a') }, circular, { a: 1n }, { a: { toJSON: () => ({}) } }, { toJSON: () => ({}) }, { a: 'x'.repeat(2_000) }]) {
    plans.set('app', 'a', options, prepared)
    t.equal(plans.get('app', 'a', options), undefined)
  }
})

t.test('an id that is undefined is refused, also after the system-assigned identity was asked for', async t => {
  const { authorizationHeaderProvider: provider } = await buildIn(t, await startWorld(t))
  await provider.createAuthorizationHeaderForApp(scope, { acquireTokenOptions: { managedIdentity: {} } })

  const options = { acquireTokenOptions: { managedIdentity: { userAssignedClientId: undefined } } } as never
  await t.rejects(provider.createAuthorizationHeaderForApp(scope, options), { code: 'FST_IDW_CONFIG_INVALID' })
})
