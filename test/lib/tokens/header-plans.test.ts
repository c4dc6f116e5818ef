import t from 'tap'
import fc from 'fast-check'
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
  for (const options of [{ acquireTokenOptions: { managedIdentity: { userAssignedClientId: undefined } } }, { a: () => {} }, { a: Symbol('a') }, circular, [circular], { a: new Array(2) }, { a: 1n }, { a: null }, new Date(), Object.create({ a: 1 }), { a: { toJSON: () => ({}) } }, { toJSON: () => ({}) }, { a: 'x'.repeat(2_001) }, { a: 'x'.repeat(1_500), b: 'x'.repeat(1_500) }]) {
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

t.test('the provider of an application remembers as many headers as tokens are kept', async t => {
  const plans = new HeaderPlans(3)
  for (const scope of ['a', 'b', 'c', 'd']) plans.set('app', scope, undefined, prepared)
  t.strictSame(['a', 'b', 'c', 'd'].map(scope => plans.get('app', scope, undefined)), [undefined, prepared, prepared, prepared])
})

t.test('whatever is said, it is never taken for anything else that is said', async () => {
  const data = fc.letrec(tie => ({
    data: fc.oneof(fc.string(), fc.boolean(), fc.integer(), fc.constantFrom('1', '0:', '[', '{', '.', ';', 'true'), fc.array(tie('data'), { maxLength: 3 }), fc.dictionary(fc.string(), tie('data'), { maxKeys: 3, noNullPrototype: true })),
  })).data
  fc.assert(fc.property(data, data, data, data, (scope, options, otherScope, otherOptions) => {
    const plans = new HeaderPlans()
    plans.set('app', scope, options, prepared)
    const isSame = JSON.stringify([scope, options]) === JSON.stringify([otherScope, otherOptions])
    return isSame || plans.get('app', otherScope, otherOptions) === undefined
  }), { numRuns: 5_000 })
})
