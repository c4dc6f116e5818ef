import t from 'tap'
import { inspect } from 'node:util'
import { MockAgent } from 'undici'
import { parseConfiguration } from '../../../lib/configuration/configuration.ts'
import { applyOverride, checkAcquireTokenOptions, checkApi, mutableCopy } from '../../../lib/configuration/override.ts'
import type { ConfigurationError } from '../../../lib/errors.ts'

const [one, two] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222']

/** The API of a section. */
const apiOf = (section: object = {}) => parseConfiguration({ source: { Api: { BaseUrl: 'https://api.example/base/', ...section } } }).apis.get('Api')!
const override = (section: object, change: object) => applyOverride(apiOf(section), change, 'override', { baseUrl: false })
const polluted = (json: string) => JSON.parse(json) as object

function faultsOf (work: () => unknown): readonly string[] {
  try {
    work()
    return []
  } catch (error) {
    if ((error as ConfigurationError).code !== 'FST_IDW_CONFIG_INVALID') throw error
    return (error as ConfigurationError).faults
  }
}

t.test('objects merge per key', async t => {
  const api = override(
    { ExtraHeaderParameters: { 'x-a': '1', 'x-b': '1' }, ExtraQueryParameters: { a: '1', b: '1' }, PathParameters: { a: 1, b: 1 }, Query: { a: 1, b: 1 }, AcquireTokenOptions: { Tenant: 'contoso', ExtraQueryParameters: { a: '1', b: '1' }, ExtraHeadersParameters: { 'x-a': '1', 'x-b': '1' } } },
    { extraHeaderParameters: { 'X-B': '2', 'x-c': '2' }, extraQueryParameters: { b: '2' }, pathParameters: { b: 2 }, query: { b: null, c: 2 }, acquireTokenOptions: { claims: '{}', extraQueryParameters: { b: '2' }, extraHeadersParameters: { 'X-A': '2' } } })

  t.strictSame(api.extraHeaderParameters, { 'x-a': '1', 'X-B': '2', 'x-c': '2' }, 'names of headers in any letter case')
  t.strictSame(api.extraQueryParameters, { a: '1', b: '2' })
  t.strictSame(api.pathParameters, { a: 1, b: 2 })
  t.strictSame(api.query, { a: 1, b: null, c: 2 })
  t.strictSame(api.acquireTokenOptions, { tenant: 'contoso', claims: '{}', extraQueryParameters: { a: '1', b: '2' }, extraHeadersParameters: { 'x-b': '1', 'X-A': '2' } })
})

t.test('lists and managedIdentity are replaced whole', async t => {
  const api = override(
    { Scopes: ['a', 'b'], Query: { list: [1, 2] }, AcquireTokenOptions: { ManagedIdentity: { UserAssignedClientId: one } } },
    { scopes: ['c'], query: { list: [3] }, acquireTokenOptions: { managedIdentity: { userAssignedObjectId: two } } })

  t.strictSame(api.scopes, ['c'])
  t.strictSame(api.query, { list: [3] })
  t.strictSame(api.acquireTokenOptions, { managedIdentity: { userAssignedObjectId: two } })
  t.strictSame(override({ AcquireTokenOptions: { ManagedIdentity: { UserAssignedClientId: one } } }, { acquireTokenOptions: { managedIdentity: {} } }).acquireTokenOptions, { managedIdentity: {} })
})

t.test('what an override does not name stays, and undefined names nothing', async t => {
  const api = override({ Scopes: ['a'], Timeout: 5, AcquireTokenOptions: { ManagedIdentity: {} } }, { timeout: undefined, scopes: undefined, acquireTokenOptions: { managedIdentity: undefined }, retry: 1 })

  t.match(api, { name: 'Api', baseUrl: 'https://api.example/base/', scopes: ['a'], timeout: 5, retry: 1, acquireTokenOptions: { managedIdentity: {} } })
})

t.test('the result is new and frozen, and shares no object with the override; a dispatcher stays as it is', async t => {
  const base = apiOf({ ExtraHeaderParameters: { 'x-a': '1' } })
  const dispatcher = new MockAgent()
  t.teardown(() => dispatcher.close())
  const change = { query: { list: ['a'] }, acquireTokenOptions: { managedIdentity: {} }, dispatcher }
  const api = applyOverride(base, change, 'override', { baseUrl: false })

  change.query.list.push('b')
  change.acquireTokenOptions.managedIdentity = { userAssignedClientId: one }

  t.strictSame(api.query, { list: ['a'] })
  t.strictSame(api.acquireTokenOptions, { managedIdentity: {} })
  for (const part of [api, api.query, api.query?.['list'], api.acquireTokenOptions, api.acquireTokenOptions.managedIdentity, api.extraHeaderParameters]) t.ok(Object.isFrozen(part))
  t.equal(api.dispatcher, dispatcher)
  t.notOk(Object.isFrozen(dispatcher))
  t.equal(base.query, undefined)
})

t.test('baseUrl cannot be changed by a call, however it is spelt', async t => {
  for (const change of [
    { baseUrl: 'https://evil.example/' }, { BASEURL: 'https://evil.example/' }, { baseUrl: ' https://evil.example/' }, { baseUrl: 'https://api.example/' }, { baseUrl: 'https://api.example/base' }, { baseUrl: 'https://api.example:8443/base/' }, { baseUrl: 'http://api.example/base/' },
    { baseUrl: 'https://api.example/base/../' }, { baseUrl: 'https://user@api.example/base/' }, { baseUrl: 'https://api.example/base/?a' },
  ]) t.match(faultsOf(() => override({}, change)), [/^override\.baseUrl: /i], inspect(change))

  for (const baseUrl of ['https://api.example/base/', 'HTTPS://API.example:443/base/']) t.equal(override({}, { baseUrl }).baseUrl, 'https://api.example/base/', `${baseUrl} is the same`)
  t.match(faultsOf(() => override({}, { baseUrl: 'https://api.example/base/', BaseUrl: 'https://evil.example/' })), [/^override\.BaseUrl: the key is there twice/])
  t.match(faultsOf(() => override({}, { baseUrl: 'evil' })), [/^override\.baseUrl: expected an absolute URL$/])
  t.match(faultsOf(() => override({}, { baseUrl: 7 })), [/^override\.baseUrl: expected text$/])

  let reads = 0
  t.equal(override({}, { get baseUrl () { return reads++ === 0 ? 'https://evil.example/' : 'https://api.example/base/' } }).baseUrl, 'https://api.example/base/', 'a value that changes while it is read')
})

t.test('where it is allowed, another baseUrl is taken, if it is one that a token may be sent to', async t => {
  t.equal(applyOverride(apiOf(), { baseUrl: 'https://other.example' }, 'override', { baseUrl: true }).baseUrl, 'https://other.example/')
  t.equal(applyOverride(apiOf(), { retry: 1 }, 'override', { baseUrl: true }).baseUrl, 'https://api.example/base/')
  t.match(faultsOf(() => applyOverride(apiOf(), { baseUrl: 'http://other.example' }, 'override', { baseUrl: true })), [/^override\.baseUrl: expected https/])
})

t.test('every fault of an override is told at once, with its key path, and the key that was meant', async t => {
  t.strictSame(faultsOf(() => override({}, { baseUrl: 'https://evil.example/', relativPath: 'x', timeout: 'soon', name: 'Other', acquireTokenOptions: { managedIdentiy: {}, correlationId: 7, extraQueryParameters: { a: {} } } })).toSorted(), [
    'override.acquireTokenOptions.correlationId: expected text',
    'override.acquireTokenOptions.extraQueryParameters.a: expected text',
    'override.acquireTokenOptions.managedIdentiy: unknown key, did you mean managedIdentity?',
    'override.baseUrl: cannot be changed by a call, since the token belongs to the configured one',
    'override.name: unknown key',
    'override.relativPath: unknown key, did you mean relativePath?',
    'override.timeout: expected a number',
  ])
})

t.test('text in an override is not taken for JSON: it may come from a request', async t => {
  t.match(faultsOf(() => override({}, { acquireTokenOptions: '{"managedIdentity":{}}' })), [/^override\.acquireTokenOptions: expected an object/])
  t.match(faultsOf(() => override({}, { query: '{"a":1}' })), [/^override\.query: expected an object/])
  t.match(faultsOf(() => override({}, { scopes: '["a/.default"]' })), [/^override\.scopes\[0\]: expected a scope/])
})

t.test('keys that reach for a prototype are refused at any depth, and reach nothing', async t => {
  for (const json of ['{"__proto__":{"polluted":1}}', '{"constructor":{}}', '{"acquireTokenOptions":{"__proto__":{"polluted":1}}}', '{"query":{"__proto__":1}}', '{"extraHeaderParameters":{"constructor":"x"}}', '{"acquireTokenOptions":{"extraQueryParameters":{"prototype":"x"}}}']) {
    t.match(faultsOf(() => override({}, polluted(json))), [/: this key is not allowed$/], json)
    t.match(faultsOf(() => checkApi({ ...mutableCopy(apiOf()), ...polluted(json) }, apiOf(), 'override')), [/: this key is not allowed$/], json)
  }
  t.match(faultsOf(() => checkAcquireTokenOptions(polluted('{"__proto__":{"polluted":1}}'), 'acquireTokenOptions')), [/^acquireTokenOptions\.__proto__: this key is not allowed$/])
  t.equal(({} as { polluted?: unknown }).polluted, undefined)
})

t.test('no value of an override is in a fault', async t => {
  for (const change of [{ acquireTokenOptions: { claims: 'sEcReT' } }, { extraHeaderParameters: { 'x-key': 'sEcReT\n' } }, { acquireTokenOptions: { tenant: 'sEcReT/' } }, { scopes: ['sEcReT"'] }, { baseUrl: 'https://user:sEcReT@api.example/' }, { query: { a: { b: 'sEcReT' } } }, { responseType: 'sEcReT' }, { dispatcher: 'sEcReT' }]) {
    t.notMatch(inspect(faultsOf(() => override({}, change))), /sEcReT/)
  }
})

t.test('the copy that a function gets is deep, and what is taken out of it is as if it had never been given', async t => {
  const dispatcher = new MockAgent()
  t.teardown(() => dispatcher.close())
  const base = applyOverride(apiOf({ Scopes: ['a'], Timeout: 5, AcquireTokenOptions: { ManagedIdentity: { UserAssignedClientId: one } } }), { dispatcher }, 'override', { baseUrl: false })
  const copy = mutableCopy(base)
  ;(copy.scopes as string[]).push('b')
  copy.acquireTokenOptions!.managedIdentity!.userAssignedClientId = two
  delete copy.timeout
  const api = checkApi(copy, base, 'override')

  t.match(api, { name: 'Api', baseUrl: base.baseUrl, scopes: ['a', 'b'], timeout: 30_000, acquireTokenOptions: { managedIdentity: { userAssignedClientId: two } } })
  t.equal(api.dispatcher, dispatcher)
  t.ok(Object.isFrozen(api.acquireTokenOptions.managedIdentity))
  t.match(base, { scopes: ['a'], timeout: 5, acquireTokenOptions: { managedIdentity: { userAssignedClientId: one } } })
  t.notOk('dispatcher' in mutableCopy(apiOf()))
})

t.test('what a function has made of its copy is checked whole', async t => {
  t.strictSame(faultsOf(() => checkApi({ ...mutableCopy(apiOf()), baseUrl: 'https://evil.example/', timeout: 0, relativPath: 'x' }, apiOf(), 'override')).toSorted(), [
    'override.baseUrl: cannot be changed by a call, since the token belongs to the configured one',
    'override.relativPath: unknown key, did you mean relativePath?',
    'override.timeout: expected at least 1 ms',
  ])
})

t.test('the options of an acquisition are checked whole, and copied', async t => {
  const given = { managedIdentity: { userAssignedClientId: one } }
  const options = checkAcquireTokenOptions(given, 'acquireTokenOptions')
  given.managedIdentity.userAssignedClientId = two

  t.strictSame(options, { managedIdentity: { userAssignedClientId: one } })
  t.match(faultsOf(() => checkAcquireTokenOptions({ tennant: 'x', claims: 'x' }, 'acquireTokenOptions')).toSorted(), [/^acquireTokenOptions\.claims: expected a JSON object/, /^acquireTokenOptions\.tennant: unknown key, did you mean tenant\?$/])
})
