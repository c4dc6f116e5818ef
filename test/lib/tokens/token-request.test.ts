import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import fc from 'fast-check'
import { prepare, UserRequests, tokenKey, type ClientCredentialsRequest, type ManagedIdentityRequest, type OnBehalfOfRequest, type TokenRequest } from '../../../lib/tokens/token-request.ts'
import type { AppConfiguration } from '../../../lib/configuration/configuration.ts'
import type { Authority } from '../../../lib/authorities/authority.ts'

// Few characters, those of JSON and of separators among them, make collisions likely where parts could run into each other.
const text = fc.oneof(fc.string({ maxLength: 4 }), fc.stringMatching(/^[ab",:;|/\\[\]{}\0]{0,4}$/))
const optional = fc.option(text, { nil: undefined })
const list = fc.array(text, { maxLength: 3 })
const record = fc.dictionary(text, text, { maxKeys: 3 })
const uniqueList = fc.uniqueArray(text, { maxLength: 4 })

const authority: fc.Arbitrary<Authority> = fc.record({ instance: text, tenantId: text, policy: optional, clientId: text, tokenEndpoint: fc.constant(''), isDiscovered: fc.constant(false), region: fc.constant(undefined) })

const clientCredentials: fc.Arbitrary<ClientCredentialsRequest> = fc.record({
  flow: fc.constant('clientCredentials' as const),
  app: fc.record({ name: text }) as unknown as fc.Arbitrary<AppConfiguration>,
  authority,
  scopes: list,
  claims: optional,
  clientCapabilities: list,
  fmiPath: optional,
  extraQueryParameters: record,
  extraHeadersParameters: record,
  correlationId: fc.constant(undefined),
})

const managedIdentity: fc.Arbitrary<ManagedIdentityRequest> = fc.record({
  flow: fc.constant('managedIdentity' as const),
  managedIdentity: fc.record({ userAssignedClientId: optional, userAssignedObjectId: optional, userAssignedResourceId: optional }) as fc.Arbitrary<ManagedIdentityRequest['managedIdentity']>,
  workloadIdentity: fc.option(fc.record({ authority, tokenFile: fc.constant('') }), { nil: undefined }),
  resource: text,
  scopes: list,
  claims: optional,
  clientCapabilities: list,
  correlationId: fc.constant(undefined),
})

const onBehalfOf: fc.Arbitrary<OnBehalfOfRequest> = fc.tuple(clientCredentials, text).map(([{ flow: _, fmiPath: __, ...common }, userAssertion]) => ({ ...common, flow: 'onBehalfOf', userAssertion }))

const request: fc.Arbitrary<TokenRequest> = fc.oneof(clientCredentials, onBehalfOf, managedIdentity)

/** The request with all that has no order in one order, and all that is absent left out: equal for requests that may share a token. */
function canonical (value: unknown): unknown {
  if (Array.isArray(value)) return value.toSorted().map(canonical)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value).filter(([, item]) => item !== undefined).sort(([a], [b]) => a < b ? -1 : 1).map(([name, item]) => ({ name, item: canonical(item) }))
}
const same = (a: TokenRequest, b: TokenRequest) => JSON.stringify(canonical(a)) === JSON.stringify(canonical(b))

t.test('two requests have the same key where they are the same, and nowhere else', async () => {
  fc.assert(fc.property(request, request, (a, b) => (tokenKey(a) === tokenKey(b)) === same(a, b)), { numRuns: 2000 })
})

t.test('any one field that is changed gives another key', async t => {
  const fields: Record<string, (request: TokenRequest, value: string) => TokenRequest | undefined> = {
    scopes: (request, value) => ({ ...request, scopes: [...request.scopes, value] }),
    'one scope': (request, value) => ({ ...request, scopes: [`${request.scopes[0] ?? ''}${value}x`, ...request.scopes.slice(1)] }),
    claims: (request, value) => ({ ...request, claims: `${request.claims ?? ''}${value}x` }),
    clientCapabilities: (request, value) => ({ ...request, clientCapabilities: [...request.clientCapabilities, value] }),
    instance: (request, value) => changed(request, value, 'instance'),
    tenantId: (request, value) => changed(request, value, 'tenantId'),
    policy: (request, value) => changed(request, value, 'policy'),
    clientId: (request, value) => changed(request, value, 'clientId'),
    'app section': (request, value) => request.flow !== 'managedIdentity' ? { ...request, app: { ...request.app, name: `${request.app.name}${value}x` } } : undefined,
    userAssertion: (request, value) => request.flow === 'onBehalfOf' ? { ...request, userAssertion: `${request.userAssertion}${value}x` } : undefined,
    fmiPath: (request, value) => request.flow === 'clientCredentials' ? { ...request, fmiPath: `${request.fmiPath ?? ''}${value}x` } : undefined,
    'query name': (request, value) => request.flow !== 'managedIdentity' ? { ...request, extraQueryParameters: { ...request.extraQueryParameters, [`${value}-new`]: '' } } : undefined,
    'query value': (request, value) => request.flow !== 'managedIdentity' ? { ...request, extraQueryParameters: { ...request.extraQueryParameters, a: `${request.extraQueryParameters['a'] ?? ''}${value}x` } } : undefined,
    'header name': (request, value) => request.flow !== 'managedIdentity' ? { ...request, extraHeadersParameters: { ...request.extraHeadersParameters, [`${value}-new`]: '' } } : undefined,
    'query moved to headers': request => request.flow !== 'managedIdentity' ? { ...request, extraQueryParameters: {}, extraHeadersParameters: { ...request.extraQueryParameters, a: '1' } } : undefined,
    resource: (request, value) => request.flow === 'managedIdentity' ? { ...request, resource: `${request.resource}${value}x` } : undefined,
    userAssignedClientId: (request, value) => identityChanged(request, value, 'userAssignedClientId'),
    userAssignedObjectId: (request, value) => identityChanged(request, value, 'userAssignedObjectId'),
    userAssignedResourceId: (request, value) => identityChanged(request, value, 'userAssignedResourceId'),
  }
  for (const [field, change] of Object.entries(fields)) {
    fc.assert(fc.property(request, text, (request, value) => {
      const other = change(request, value)
      return other === undefined || same(request, other) || tokenKey(request) !== tokenKey(other)
    }))
    t.pass(field)
  }
})

t.test('an id of one kind is not the same id of another kind', async () => {
  fc.assert(fc.property(managedIdentity, text, (request, id) => {
    const keys = ['userAssignedClientId', 'userAssignedObjectId', 'userAssignedResourceId'].map(kind => tokenKey({ ...request, managedIdentity: { [kind]: id } }))
    return new Set([...keys, tokenKey({ ...request, managedIdentity: {} })]).size === 4
  }))
})

t.test('the region and the endpoint that are asked have no part in the key', async () => {
  fc.assert(fc.property(fc.oneof(clientCredentials, onBehalfOf), text, (request, value) => {
    return tokenKey(request) === tokenKey({ ...request, authority: { ...request.authority, region: value, tokenEndpoint: value, isDiscovered: true } })
  }))
})

t.test('the order of scopes, capabilities, parameters and headers does not matter', async () => {
  fc.assert(fc.property(request, uniqueList.chain(items => fc.tuple(fc.constant(items), fc.shuffledSubarray(items, { minLength: items.length }))), (request, [items, shuffled]) => {
    const entries = (names: string[]) => Object.fromEntries(names.map(name => [name, `of ${name}`]))
    const withOrder = (names: string[]): TokenRequest => ({ ...request, scopes: names, clientCapabilities: names, ...request.flow !== 'managedIdentity' && { extraQueryParameters: entries(names), extraHeadersParameters: entries(names) } } as TokenRequest)
    return tokenKey(withOrder(items)) === tokenKey(withOrder(shuffled))
  }))
})

t.test('the correlation id, which only names a request, does not matter', async () => {
  fc.assert(fc.property(clientCredentials, text, (request, correlationId) => tokenKey(request) === tokenKey({ ...request, correlationId })))
})

t.test('a token that was asked for with claims is kept in place of the one without', async () => {
  fc.assert(fc.property(request, text, (request, claims) => {
    const plain: TokenRequest = { ...request, claims: undefined }
    return prepare({ ...request, claims }).key === prepare(plain).key && prepare(plain).key === tokenKey(plain)
  }))
})

t.test('what may be said of a request names its API and identity, and nothing of the user', async t => {
  const app = { name: 'AzureAd' } as AppConfiguration
  const authority = { instance: 'https://login.example/', tenantId: 'contoso', policy: undefined, clientId: 'client', tokenEndpoint: 'https://login.example/contoso/oauth2/v2.0/token', isDiscovered: false, region: undefined }
  const common = { app, authority, scopes: ['s'], claims: undefined, clientCapabilities: [], extraQueryParameters: {}, extraHeadersParameters: {}, correlationId: undefined }
  const user = prepare({ ...common, flow: 'onBehalfOf', userAssertion: 'the assertion' }, 'Api')

  t.match(user, { provider: 'entra-id', address: authority.tokenEndpoint, description: { flow: 'onBehalfOf', api: 'Api', scopes: ['s'], tenantId: 'contoso', clientId: 'client' } })
  t.notMatch(JSON.stringify(user.description) + user.key, /assertion/)
  const managed = { flow: 'managedIdentity' as const, resource: 'r', scopes: ['s'], claims: undefined, clientCapabilities: [], correlationId: undefined }
  for (const [managedIdentity, clientId] of [[{}, undefined], [{ userAssignedClientId: 'c' }, 'c'], [{ userAssignedObjectId: 'o' }, 'o'], [{ userAssignedResourceId: 'r' }, 'r']] as const) {
    t.match(prepare({ ...managed, managedIdentity }), { provider: 'managed-identity', address: 'managed-identity', description: { api: undefined, tenantId: undefined, clientId } })
  }
  t.match(prepare({ ...managed, managedIdentity: {}, workloadIdentity: { authority, tokenFile: '/token' } }), { provider: 'entra-id', address: authority.tokenEndpoint, description: { flow: 'managedIdentity', tenantId: 'contoso', clientId: 'client' } })
})

t.test('who is asked in a region is not who is asked in another, or in none; users have no region', async t => {
  const addressIn = (flow: 'clientCredentials' | 'onBehalfOf', region: string | undefined) => {
    const authority = { instance: 'https://login.example/', tenantId: 'contoso', policy: undefined, clientId: 'client', tokenEndpoint: 'https://login.example/contoso/oauth2/v2.0/token', isDiscovered: false, region }
    return prepare({ flow, app: { name: 'AzureAd' } as AppConfiguration, authority, scopes: ['s'], claims: undefined, clientCapabilities: [], extraQueryParameters: {}, extraHeadersParameters: {}, correlationId: undefined, userAssertion: 'a', fmiPath: undefined }).address
  }
  t.equal(new Set([undefined, 'westus2', 'eastus'].map(region => addressIn('clientCredentials', region))).size, 3)
  t.equal(new Set([undefined, 'westus2', 'eastus'].map(region => addressIn('onBehalfOf', region))).size, 1)
})

t.test('a key is short, however long the request is, and shows nothing of it', async t => {
  t.match(tokenKey({ flow: 'managedIdentity', managedIdentity: {}, resource: 'r'.repeat(100_000), scopes: [], claims: undefined, clientCapabilities: [], correlationId: undefined }), /^[\w-]{43}$/)
})

function changed (request: TokenRequest, value: string, field: 'instance' | 'tenantId' | 'policy' | 'clientId'): TokenRequest | undefined {
  const more = (authority: Authority) => ({ ...authority, [field]: `${authority[field] ?? ''}${value}x` })
  if (request.flow !== 'managedIdentity') return { ...request, authority: more(request.authority) }
  return request.workloadIdentity && { ...request, workloadIdentity: { ...request.workloadIdentity, authority: more(request.workloadIdentity.authority) } }
}

function identityChanged (request: TokenRequest, value: string, kind: keyof ManagedIdentityRequest['managedIdentity']): TokenRequest | undefined {
  return request.flow === 'managedIdentity' ? { ...request, managedIdentity: { ...request.managedIdentity, [kind]: `${request.managedIdentity[kind] ?? ''}${value}x` } } : undefined
}

t.test('the request of another user is prepared as if it were prepared by itself', async () => {
  fc.assert(fc.property(onBehalfOf, text, (request, userAssertion) => {
    const other = new UserRequests(request, 'Api').of(userAssertion)
    const own = prepare({ ...request, userAssertion, endsOn: undefined }, 'Api')
    return isDeepStrictEqual({ ...other, request: other.request }, own)
  }))
})
