import t from 'tap'
import { inspect } from 'node:util'
import { parseConfiguration, type ConfigurationInput } from '../../../lib/configuration/configuration.ts'
import type { ConfigurationError } from '../../../lib/errors.ts'

const BaseUrl = 'https://api.example/'

function faultsOf (input: ConfigurationInput): readonly string[] {
  try {
    parseConfiguration(input)
    return []
  } catch (error) {
    if ((error as ConfigurationError).code !== 'FST_IDW_CONFIG_INVALID') throw error
    return (error as ConfigurationError).faults
  }
}

const appOf = (AzureAd: object) => parseConfiguration({ source: { AzureAd } }).app()
const apiOf = (section: object) => parseConfiguration({ source: { Api: { BaseUrl, ...section } } }).apis.get('Api')

t.test('null, and text that is empty where it must not be, are as if they were not there', async t => {
  t.strictSame(apiOf({ RelativePath: null, HttpMethod: null, Scopes: null, RequestAppToken: null, Timeout: null, ResponseType: null, ExtraHeaderParameters: null, Query: null, AcquireTokenOptions: null, Signal: null, Dispatcher: null, Serializer: null }), apiOf({}))
  t.strictSame(apiOf({ HttpMethod: '', ResponseType: '', AcquireTokenOptions: { Tenant: '', Claims: '', ManagedIdentity: null, PopPublicKey: '', PopClaim: null, UserFlow: false, ForceRefresh: null } }), apiOf({ AcquireTokenOptions: {} }))
  t.strictSame(apiOf({ Query: { a: null } })?.query, { a: null }, 'null takes a parameter of the API back')
  t.strictSame(parseConfiguration({ source: { AzureAd: { CallbackPath: null } } }).warnings, [])
  t.match(appOf({ Instance: '', TenantId: null, ClientCredentials: null, KnownAuthorities: null, SendX5C: null, TokenDecryptionCredentials: null }), { instance: undefined, tenantId: undefined, clientCredentials: [], knownAuthorities: [], sendX5C: false, tokenDecryptionCredentials: [] })
})

t.test('sections may be objects without a prototype', async t => {
  const section = Object.assign(Object.create(null) as object, { BaseUrl, Query: Object.assign(Object.create(null) as object, { a: 1 }) })
  const source = Object.assign(Object.create(null) as object, { Api: section, AzureAd: { TokenDecryptionCredentials: [Object.assign(Object.create(null) as object, { SourceType: 'Path', CertificateDiskPath: 'a.pem' })] } })
  const { app, apis } = parseConfiguration({ source })

  t.match(apis.get('Api'), { query: { a: 1 } })
  t.match(app()?.tokenDecryptionCredentials, [{ certificateDiskPath: 'a.pem' }])
})

t.test('a section that is there twice, in different letter case, is a fault', async t => {
  t.match(faultsOf({ source: { AzureAd: {}, azuread: {} } }), [/^AzureAd and azuread: the same name twice/])
  t.match(faultsOf({ source: { Api: { BaseUrl }, API: { BaseUrl } } }), [/^Api and API: the same name twice/])
  t.match(faultsOf({ source: { DownstreamApis: { Api: { BaseUrl }, api: { BaseUrl } } }, downstreamApis: { a: 'DownstreamApis:Api' } }), [/^DownstreamApis\.Api and DownstreamApis\.api: the same name twice/])
})

t.test('DownstreamApis given as text that is no JSON is a fault that says so', async t => {
  t.match(faultsOf({ source: { DownstreamApis: '{"Api"' } }), [/^DownstreamApis: expected an object, and the text is not valid JSON$/])
})

t.test('the option downstreamApis cannot name a prototype', async t => {
  t.match(faultsOf({ source: {}, downstreamApis: ['__proto__'] }), [/^options\.downstreamApis: this key is not allowed$/])
  t.match(faultsOf({ source: {}, downstreamApis: { constructor: { baseUrl: BaseUrl } } as never }), [/^options\.downstreamApis\.constructor: this key is not allowed$/])
})

t.test('a section that was put where its name belongs is not in the fault', async t => {
  for (const faults of [faultsOf({ source: {}, azureAd: '{"ClientSecret":"sEcReT"}' }), faultsOf({ source: {}, downstreamApis: ['{"ClientSecret":"sEcReT"}'] }), faultsOf({ source: { Api: { BaseUrl, AcquireTokenOptions: { AuthenticationOptionsName: '{"ClientSecret":"sEcReT"}' } } } })]) {
    t.match(faults, [/: expected the name of a section$/])
    t.notMatch(faults.join(), /sEcReT/)
  }
})

t.test('Authority names the tenant in its path, or in the host of Entra External ID', async t => {
  t.match(appOf({ Authority: 'https://contoso.ciamlogin.com/' }), { instance: 'https://contoso.ciamlogin.com/', tenantId: 'contoso.onmicrosoft.com' })
  t.match(appOf({ Authority: 'https://contoso.ciamlogin.com/fabrikam/v2.0' }), { tenantId: 'fabrikam' })
  t.match(faultsOf({ source: { AzureAd: { Authority: 'https://login.microsoftonline.com/a%20b/v2.0' } } }), [/^AzureAd\.Authority: expected the id or the domain name of a tenant as the first part of the path$/])
})

t.test('an Instance with the tenant in its path is a fault that says where the tenant belongs', async t => {
  t.match(faultsOf({ source: { AzureAd: { Instance: 'https://login.microsoftonline.com/contoso/' } } }), [/^AzureAd\.Instance: expected the host alone; the tenant belongs into TenantId$/])
  t.match(faultsOf({ source: { AzureAd: { Instance: 'https://sts.example/', KnownAuthorities: ['sts.example:99999'] } } }), [/^AzureAd\.Instance: the host sts\.example is not known/], 'a port that is none makes no host known')
})

t.test('Audience and Audiences are one list', async t => {
  t.strictSame(appOf({ Audience: 'a', Audiences: ['b', 'a'] })?.audiences, ['a', 'b'])
  t.strictSame(appOf({ Audience: 'a' })?.audiences, ['a'])
  t.strictSame(appOf({ Audiences: ['b'] })?.audiences, ['b'])
})

t.test('values that are no list, no choice and no credential are faults', async t => {
  for (const [section, message] of [
    [{ Scopes: { a: 'b' } }, /^Api\.Scopes: expected a list$/], [{ Scopes: {} }, /^Api\.Scopes: expected a list$/],
    [{ HttpMethod: 7 }, /^Api\.HttpMethod: expected text$/], [{ ResponseType: 7 }, /^Api\.ResponseType: expected json, text/],
    [{ Timeout: Number.NaN }, /^Api\.Timeout: expected a number$/], [{ Timeout: Infinity }, /^Api\.Timeout: expected a whole number/], [{ Query: { a: Number.NaN } }, /^Api\.Query\.a: /], [{ Query: { a: [{}] } }, /^Api\.Query\.a/], [{ PathParameters: { a: Infinity } }, /^Api\.PathParameters\.a: /],
    [{ ExtraHeaderParameters: { 'x-a': '1', 'X-A': '2' } }, /^Api\.ExtraHeaderParameters: a header is there twice, in different letter case$/],
    [{ ExtraHeaderParameters: { 'x-a': 'ā' } }, /^Api\.ExtraHeaderParameters\.x-a: a header value must not hold/],
    [{ ExtraHeaderParameters: '{"x-a"' }, /^Api\.ExtraHeaderParameters: expected an object, and the text is not valid JSON$/],
  ] as const) t.match(faultsOf({ source: { Api: { BaseUrl, ...section } } }), [message], inspect(section))
  for (const [ClientCredentials, message] of [
    [[null], /^AzureAd\.ClientCredentials\[0\]: /], [[{ SourceType: 7 }], /^AzureAd\.ClientCredentials\[0\]\.SourceType: expected one of ClientSecret, /], [[{ SourceType: null }], /^AzureAd\.ClientCredentials\[0\]\.SourceType: /],
    ['[{"SourceType"', /^AzureAd\.ClientCredentials: expected a list, and the text is not valid JSON$/], ['[{"__proto__":{},"SourceType":"ClientSecret","ClientSecret":"s"}]', /^AzureAd\.ClientCredentials\[0\]\.__proto__: this key is not allowed$/],
  ] as const) t.match(faultsOf({ source: { AzureAd: { ClientCredentials } } }), [message], inspect(ClientCredentials))
})
