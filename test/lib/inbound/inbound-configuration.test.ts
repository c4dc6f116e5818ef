import t from 'tap'
import { parseConfiguration } from '../../../lib/configuration/configuration.ts'
import { setUp } from '../../../lib/configuration/setup.ts'
import { inboundConfiguration, PERSONAL_ACCOUNTS } from '../../../lib/inbound/inbound-configuration.ts'
import { build } from '../../fixtures/build.ts'
import { clientId, tenantId } from '../../fixtures/todo-api.ts'
import { otherTenantId } from '../../fixtures/users.ts'

const AzureAd = { Instance: 'https://login.microsoftonline.com/', TenantId: tenantId, ClientId: clientId }
const read = (inbound: unknown, section: object = {}, config: object = { AzureAd: { ...AzureAd, ...section } }) => setUp({ config, inbound }, ({ config }) => config).inbound
const faultsOf = (...given: Parameters<typeof read>): readonly string[] => {
  try {
    read(...given)
    return []
  } catch (error) {
    return (error as { faults: string[] }).faults
  }
}

t.test('true, in whatever form, takes everything from the app section; false, or nothing, validates nobody', async t => {
  for (const inbound of [true, 'true', ' TRUE ', {}]) {
    t.match(read(inbound), { authority: { instance: AzureAd.Instance, tenantId, policy: undefined }, audiences: new Set([clientId, `api://${clientId}`]), tenants: new Set([tenantId]), clients: undefined, publicClients: true, clockTolerance: 60, requireByDefault: false }, String(inbound))
  }
  for (const inbound of [false, 'false', ' False', undefined, null]) t.equal(read(inbound), undefined, String(inbound))
})

t.test('keys are read in any letter case, and text from the environment as what is wanted', async t => {
  t.match(read({ AUDIENCES: ['api://x'], Tenants: [otherTenantId.toUpperCase()], clientS: ['ABC'], PublicClients: 'false', clockTOLERANCE: '30', RequireByDefault: 'True' }), {
    audiences: new Set(['api://x']), tenants: new Set([otherTenantId]), clients: new Set(['abc']), publicClients: false, clockTolerance: 30, requireByDefault: true,
  })
  t.strictSame([...read({ tenants: 'any' })!.tenants].join(''), 'any')
  t.match(read({ audiences: 'api://x', clients: 'a' }), { audiences: new Set(['api://x']), clients: new Set(['a']) })
})

t.test('what is read is frozen, and shares nothing with what was given', async t => {
  const given = { audiences: ['api://x'], tenants: [tenantId], clients: ['a'] }
  const inbound = read(given)!
  given.audiences.push('api://evil')
  given.tenants.push(otherTenantId)
  given.clients.push('b')
  t.ok(Object.isFrozen(inbound))
  t.match(inbound, { audiences: new Set(['api://x']), tenants: new Set([tenantId]), clients: new Set(['a']) })
  for (const set of [inbound.audiences, inbound.tenants, inbound.clients]) t.equal((set as Set<string>).size, 1)
})

t.test('the audience is that of the options, or of the app section, or the client id, as tokens of both versions have it', async t => {
  const audiences = (...given: Parameters<typeof read>) => [...read(...given)!.audiences]
  t.strictSame(audiences(true), [clientId, `api://${clientId}`])
  t.strictSame(audiences(true, { ClientId: 'ABCDEFAB-0000-4000-8000-00000000000A' }), ['abcdefab-0000-4000-8000-00000000000a', 'api://abcdefab-0000-4000-8000-00000000000a'], 'as Entra ID writes it')
  t.strictSame(audiences(true, { ClientId: 'My-App' }), ['My-App', 'api://My-App'])
  t.strictSame(audiences(true, { Audience: 'api://one' }), ['api://one'])
  t.strictSame(audiences(true, { Audience: 'api://one', Audiences: ['api://two', 'api://one'] }), ['api://one', 'api://two'])
  t.strictSame(audiences({ audiences: ['api://three'] }, { Audience: 'api://one' }), ['api://three'])
  t.strictSame(audiences({ audiences: ['api://three'] }, {}, { AzureAd: { Instance: AzureAd.Instance, TenantId: tenantId } }), ['api://three'], 'without a client id')
})

t.test('the keys are those of the one tenant, or else of all', async t => {
  const of = (inbound: object, section: object = {}) => {
    const { authority, tenants } = read(inbound, section)!
    return [authority.tenantId, typeof tenants === 'string' ? tenants : [...tenants].join()]
  }
  t.strictSame(of({}), [tenantId, tenantId])
  t.strictSame(of({}, { TenantId: tenantId.toUpperCase() }), [tenantId, tenantId])
  t.strictSame(of({}, { TenantId: 'Contoso.com' }), ['contoso.com', 'own'])
  t.strictSame(of({ tenants: [otherTenantId] }), [otherTenantId, otherTenantId])
  t.strictSame(of({ tenants: [otherTenantId, otherTenantId.toUpperCase()] }), [otherTenantId, otherTenantId])
  t.strictSame(of({ tenants: [tenantId, otherTenantId] }), ['organizations', `${tenantId},${otherTenantId}`])
  t.strictSame(of({ tenants: ['any'] }), ['organizations', 'any'])
  t.strictSame(of({ tenants: ['Any'] }, { TenantId: 'COMMON' }), ['organizations', 'any'])
  t.strictSame(of({ tenants: [tenantId, PERSONAL_ACCOUNTS] }, { TenantId: 'common' }), ['common', `${tenantId},${PERSONAL_ACCOUNTS}`])
  t.strictSame(of({ tenants: [PERSONAL_ACCOUNTS] }, { TenantId: 'consumers' }), [PERSONAL_ACCOUNTS, PERSONAL_ACCOUNTS])
  t.strictSame(of({ tenants: [tenantId, otherTenantId] }, { Instance: 'https://contoso.ciamlogin.com/' }), [tenantId, `${tenantId},${otherTenantId}`], 'External ID has one tenant')
  t.strictSame(of({}, { Instance: 'https://contoso.b2clogin.com/', Domain: 'contoso.onmicrosoft.com', SignUpSignInPolicyId: 'B2C_1_susi' }), ['contoso.onmicrosoft.com', 'own'])
})

t.test('many tenants without a rule fail the start, and so does each other fault, all at once', async t => {
  for (const TenantId of ['common', 'organizations', 'consumers', 'Common']) {
    t.strictSame(faultsOf(true, { TenantId }), [`options.inbound.tenants: is missing: AzureAd.TenantId is "${TenantId}", so that tokens of anybody's tenant could be meant; list the tenants that may call, or say any`])
  }
  t.strictSame(faultsOf(true, {}, { AzureAd: { TenantId: 'common' } }), ['AzureAd.Instance: is missing, and options.inbound needs it', 'AzureAd.ClientId: is missing, and options.inbound needs it', 'options.inbound.tenants: is missing: AzureAd.TenantId is "common", so that tokens of anybody\'s tenant could be meant; list the tenants that may call, or say any'])
  t.strictSame(faultsOf({ audiences: ['x'] }, {}, { AzureAd: { Instance: AzureAd.Instance } }), ['AzureAd.TenantId: is missing, and options.inbound needs it'])
  const none = ['options.inbound: there is no app section, which says whose tokens are taken: configure AzureAd, or set the option azureAd']
  t.strictSame(faultsOf(true, {}, {}), none)
  t.strictSame(faultsOf(true, {}, { AzureAd: { ClientCapabilities: ['cp1'] } }), none, 'a section that is of no app')
  t.throws(() => inboundConfiguration({}, parseConfiguration({ source: {} }).app()), { code: 'FST_IDW_CONFIG_INVALID', message: /there is no app section/ })

  const faults = faultsOf({ audiences: [], tenants: [], clients: [], publicClients: 'perhaps', clockTolerance: 301, requireByDefault: 7, clockTolerence: 1 })
  for (const [key, why] of Object.entries({ audiences: 'expected at least one', tenants: 'expected at least one', clients: 'expected at least one', publicClients: 'expected true or false', clockTolerance: 'expected at most 300 seconds', requireByDefault: 'expected true or false', clockTolerence: 'unknown key, did you mean clockTolerance\\?' })) {
    t.ok(faults.some(fault => new RegExp(`^options\\.inbound\\.${key}: ${why}`).test(fault)), `${key}: ${faults.join(' | ')}`)
  }
  for (const clockTolerance of [-1, Number.NaN, Infinity, '301', 'x']) t.equal(faultsOf({ clockTolerance }).length, 1, String(clockTolerance))
  for (const tenants of [['common'], ['contoso.com'], [''], [`${tenantId}x`], ['any', tenantId], [7], ['*']]) t.ok(faultsOf({ tenants }).length > 0, JSON.stringify(tenants))
  for (const inbound of ['yes', 7, 'any']) t.match(faultsOf(inbound), [/^options\.inbound: expected an object/], String(inbound))
  for (const inbound of [JSON.parse('{"__proto__": {"requireByDefault": true}}'), { constructor: {} }]) t.equal(faultsOf(inbound).length, 1)
})

t.test('a fault of the option fails the start of the application', async t => {
  await t.rejects(build(t, { config: { AzureAd: { ...AzureAd, TenantId: 'common' } }, inbound: true }), { code: 'FST_IDW_CONFIG_INVALID', message: /list the tenants that may call, or say any/ })
  await t.rejects(build(t, { config: { AzureAd: { Instance: 7, TenantId: tenantId, ClientId: clientId } }, inbound: { clockTolerance: 1000 } } as never), { code: 'FST_IDW_CONFIG_INVALID', faults: [/options\.inbound\.clockTolerance/, /AzureAd\.Instance/] })
})
