import t from 'tap'
import { parseConfiguration, type ConfigurationInput } from '../../../lib/configuration/configuration.ts'
import type { ConfigurationError } from '../../../lib/errors.ts'

const AzureAd = { Instance: 'https://login.microsoftonline.com/', TenantId: 'contoso.onmicrosoft.com', ClientId: 'app', ClientCredentials: [{ SourceType: 'ClientSecret', ClientSecret: 's' }] }
const MyWebApi = { BaseUrl: 'https://localhost:44372/', RelativePath: 'api/TodoList', RequestAppToken: true, Scopes: ['api://todo/.default'] }
const managed = { ...MyWebApi, AcquireTokenOptions: { ManagedIdentity: {} } }
const guid = '44444444-4444-4444-8444-444444444444'

function faultsOf (input: ConfigurationInput): readonly string[] {
  try {
    parseConfiguration(input)
    return []
  } catch (error) {
    return (error as ConfigurationError).faults
  }
}

t.test('the sections of a .NET application load unchanged, complete and frozen', async t => {
  const configuration = parseConfiguration({ source: { AzureAd, MyWebApi: { ...MyWebApi, AcquireTokenOptions: { ManagedIdentity: { UserAssignedClientId: guid } } } } })

  const api = configuration.apis.get('MyWebApi')
  t.match(api, {
    name: 'MyWebApi',
    baseUrl: 'https://localhost:44372/',
    relativePath: 'api/TodoList',
    requestAppToken: true,
    scopes: ['api://todo/.default'],
    acquireTokenOptions: { managedIdentity: { userAssignedClientId: guid } },
    httpMethod: 'GET',
    acceptHeader: 'application/json',
    contentType: 'application/json',
    timeout: 30_000,
    retry: 0,
    extraHeaderParameters: {},
    extraQueryParameters: {},
  })
  t.match(configuration.app(), { name: 'AzureAd', instance: 'https://login.microsoftonline.com/', tenantId: 'contoso.onmicrosoft.com', clientId: 'app', clientCredentials: [{ sourceType: 'ClientSecret', clientSecret: 's' }] })
  for (const part of [api, api?.scopes, api?.acquireTokenOptions, api?.acquireTokenOptions.managedIdentity, api?.extraHeaderParameters, configuration.app(), configuration.app()?.clientCredentials, configuration.app()?.clientCredentials[0], configuration.warnings]) t.ok(Object.isFrozen(part))
})

t.test('keys, section names and the values of choices are case-insensitive', async t => {
  const { apis, app } = parseConfiguration({ source: { azuread: { INSTANCE: AzureAd.Instance, tenantid: 't', clientID: 'c', clientcredentials: [{ SOURCETYPE: 'clientsecret', clientsecret: 's' }] }, myWebApi: { baseurl: MyWebApi.BaseUrl, httpmethod: 'post', PROTOCOLSCHEME: 'bearer', responsetype: 'JSON' } } })
  t.match(app(), { name: 'azuread', tenantId: 't', clientCredentials: [{ sourceType: 'ClientSecret' }] })
  t.match(apis.get('myWebApi'), { httpMethod: 'POST', protocolScheme: 'Bearer', responseType: 'json' })
  t.equal(apis.get('MyWebApi'), undefined, 'service names are exact')
})

t.test('scopes are a list, or one text split on spaces', async t => {
  for (const [Scopes, scopes] of [['a b', ['a', 'b']], [' a\t b ', ['a', 'b']], [['a', 'b'], ['a', 'b']], ['', []], [null, []], [{ 0: 'a', 1: 'b' }, ['a', 'b']]] as const) {
    t.strictSame(parseConfiguration({ source: { Api: { BaseUrl: MyWebApi.BaseUrl, Scopes } } }).apis.get('Api')?.scopes, scopes)
  }
})

t.test('text from the environment becomes what the option wants', async t => {
  const { apis } = parseConfiguration({ source: { Api: { BaseUrl: MyWebApi.BaseUrl, RequestAppToken: 'True', Timeout: '500', Retry: '2', ExtraQueryParameters: { v: 1, all: true }, AcquireTokenOptions: { ForceRefresh: 'false', ManagedIdentity: {} } } } })
  t.match(apis.get('Api'), { requestAppToken: true, timeout: 500, retry: 2, extraQueryParameters: { v: '1', all: 'true' }, acquireTokenOptions: { forceRefresh: false, managedIdentity: {} } })
})

t.test('"ManagedIdentity": {} counts as present; null does not; true is taken for {}', async t => {
  for (const [ManagedIdentity, managedIdentity] of [[{}, {}], [true, {}], [null, undefined]] as const) {
    const { apis } = parseConfiguration({ source: { Api: { BaseUrl: MyWebApi.BaseUrl, AcquireTokenOptions: { ManagedIdentity } } } })
    t.strictSame(apis.get('Api')?.acquireTokenOptions.managedIdentity, managedIdentity)
  }
})

t.test('a user-assigned identity without its id is a fault, never the system-assigned one', async t => {
  for (const key of ['UserAssignedClientId', 'UserAssignedObjectId', 'UserAssignedResourceId']) {
    for (const id of ['', null, undefined]) {
      t.match(faultsOf({ source: { Api: { BaseUrl: MyWebApi.BaseUrl, AcquireTokenOptions: { ManagedIdentity: { [key]: id } } } } }), [new RegExp(`^Api\\.AcquireTokenOptions\\.ManagedIdentity\\.${key}: is empty`)])
    }
  }
})

t.test('downstream APIs are those under DownstreamApis, and every top-level section with a BaseUrl', async t => {
  const { apis } = parseConfiguration({ source: { AzureAd: { ...AzureAd }, MyWebApi, DownstreamApis: { Orders: MyWebApi, Stock: JSON.stringify(MyWebApi) }, Logging: { LogLevel: 'x' }, PORT: 3000, nothing: null, text: 'text', json: '{"BaseUrl":"https://json.example/"}', broken: '{"BaseUrl"' } })
  t.strictSame([...apis.keys()], ['Orders', 'Stock', 'MyWebApi', 'json'])
  t.match(faultsOf({ source: { AzureAd, MyWebApi, downstreamapis: { MyWebApi } } }), [/^downstreamapis\.MyWebApi and MyWebApi: the same name twice/])
  t.match(faultsOf({ source: { DownstreamApis: 'none' } }), [/^DownstreamApis: expected an object$/])
})

t.test('with the option downstreamApis, the sections named there are the APIs, and no other is read', async t => {
  const source = { AzureAd, MyWebApi, Broken: { BaseUrl: 1 }, DownstreamApis: { Orders: MyWebApi } }
  t.strictSame([...parseConfiguration({ source, downstreamApis: ['mywebapi', 'Orders'] }).apis.keys()], ['mywebapi', 'Orders'])
  t.strictSame([...parseConfiguration({ source, downstreamApis: { todo: 'MyWebApi', orders: 'DownstreamApis:Orders', inline: { baseUrl: 'https://x.example/' } } }).apis.keys()], ['todo', 'orders', 'inline'])
  t.match(faultsOf({ source, downstreamApis: ['MyWebAip'] }), [/^options\.downstreamApis: there is no section "MyWebAip", did you mean "MyWebApi"\?$/])
  t.match(faultsOf({ source, downstreamApis: { a: 'DownstreamApis:Nothing', b: 'AzureAd:Instance:x', c: { baseUrl: 'x' } } }), [/downstreamApis\.a: there is no section/, /downstreamApis\.b: there is no section/, /downstreamApis\.c\.baseUrl: expected an absolute URL/])
})

t.test('an app section may have another name, be given inline, or be picked by AuthenticationOptionsName', async t => {
  const Other = { ...AzureAd, ClientId: 'other' }
  t.equal(parseConfiguration({ source: { Other, MyWebApi }, azureAd: 'other' }).app()?.clientId, 'other')
  t.equal(parseConfiguration({ source: { MyWebApi }, azureAd: { instance: AzureAd.Instance, tenantId: 't', clientId: 'inline', clientSecret: 's' } }).app()?.clientId, 'inline')
  const several = parseConfiguration({ source: { AzureAd, Other, MyWebApi: { ...MyWebApi, AcquireTokenOptions: { AuthenticationOptionsName: 'other' } } } })
  t.equal(several.app('OTHER')?.clientId, 'other')
  t.equal(several.app('OTHER'), several.app('Other'), 'read once')
  t.equal(several.app('AzureAd')?.clientId, 'app')
  t.equal(several.app('Nothing'), undefined)

  t.match(faultsOf({ source: { MyWebApi }, azureAd: 'Nothing' }), [/^options\.azureAd: there is no section "Nothing"$/])
  t.match(faultsOf({ source: { AzureAd, MyWebApi: { ...MyWebApi, AcquireTokenOptions: { AuthenticationOptionsName: 'AzureAdd' } } } }), [/^MyWebApi\.AcquireTokenOptions\.AuthenticationOptionsName: there is no section "AzureAdd", did you mean "AzureAd"\?$/])
})

t.test('an app section that is first asked for by a call tells its faults then, every time', async t => {
  const { app } = parseConfiguration({ source: { AzureAd, Late: { Instanc: 'x' } } })
  for (const times of ['first', 'second']) t.throws(() => app('Late'), { code: 'FST_IDW_CONFIG_INVALID', message: /Late\.Instanc: unknown key, did you mean Instance\?/ }, times)
})

t.test('Authority alone is instance and tenant; beside either of them it is ignored, with one warning', async t => {
  for (const [section, expected] of [
    [{ Authority: 'https://login.microsoftonline.com/contoso/v2.0' }, ['https://login.microsoftonline.com/', 'contoso']],
    [{ Authority: 'https://login.microsoftonline.us/contoso/' }, ['https://login.microsoftonline.us/', 'contoso']],
    [{ Authority: 'https://login.microsoftonline.com//v2.0' }, ['https://login.microsoftonline.com/', undefined]],
    [{ Authority: 'https://login.microsoftonline.com' }, ['https://login.microsoftonline.com/', undefined]],
    [{ Authority: 'https://login.microsoftonline.com/x', Instance: AzureAd.Instance, TenantId: 'contoso' }, ['https://login.microsoftonline.com/', 'contoso']],
    [{ Authority: 'https://login.microsoftonline.com/x', TenantId: 'contoso' }, [undefined, 'contoso']],
  ] as const) {
    const { app, warnings } = parseConfiguration({ source: { AzureAd: section } })
    t.strictSame([app()?.instance, app()?.tenantId], expected)
    const isIgnored = 'Instance' in section || 'TenantId' in section
    t.strictSame(warnings, isIgnored ? ['AzureAd.Authority: ignored, since Instance or TenantId is given'] : [])
  }
  t.match(faultsOf({ source: { AzureAd: { Authority: 'login.microsoftonline.com/x' } } }), [/^AzureAd\.Authority: expected an absolute URL$/])
  t.match(faultsOf({ source: { AzureAd: { Authority: 'https://evil.example/x' } } }), [/^AzureAd\.Authority: the host evil\.example is not known/])
})

t.test('Instance is a Microsoft cloud, loopback, or one of KnownAuthorities', async t => {
  for (const Instance of ['https://login.microsoftonline.com', 'https://login.microsoftonline.us/', 'https://login.partner.microsoftonline.cn/', 'https://contoso.ciamlogin.com/', 'https://contoso.b2clogin.com/', 'https://localhost/', 'http://127.0.0.1:8420/', 'http://[::1]:8420']) {
    t.strictSame(faultsOf({ source: { AzureAd: { Instance } } }), [], Instance)
  }
  t.equal(parseConfiguration({ source: { AzureAd: { Instance: 'https://login.microsoftonline.com//' } } }).app()?.instance, 'https://login.microsoftonline.com/')
  for (const Instance of ['https://login.microsoftonline.com.evil', 'https://evil.ciamlogin.com.evil.example', 'https://a.b.ciamlogin.com', 'https://login.microsoftonline.com:8443/', 'http://login.microsoftonline.com/', 'ftp://localhost/', 'login.microsoftonline.com', 'https://sts.example/', 'https://login.microsoftonline.com/?a=b', 'https://login.microsoftonline.com@evil.example/']) {
    t.match(faultsOf({ source: { AzureAd: { Instance } } }), [/^AzureAd\.Instance: /], Instance)
  }
  t.strictSame(faultsOf({ source: { AzureAd: { Instance: 'https://sts.example/', KnownAuthorities: ['sts.example'] } } }), [])
  t.strictSame(faultsOf({ source: { AzureAd: { Instance: 'https://STS.example:8443/', KnownAuthorities: 'other.example sts.example:8443' } } }), [])
  t.match(faultsOf({ source: { AzureAd: { Instance: 'https://sts.example:8443/', KnownAuthorities: ['sts.example'] } } }), [/KnownAuthorities/])
})

t.test('BaseUrl is https, or http on loopback, and no place where no web API is', async t => {
  for (const BaseUrl of ['https://api.example', 'https://api.example/base/', 'http://localhost:3000', 'http://127.9.9.9/', 'http://[::1]/']) t.strictSame(faultsOf({ source: { Api: { BaseUrl } } }), [], BaseUrl)
  for (const BaseUrl of ['http://api.example/', 'ftp://localhost/', 'api.example', '/api', '', 'https://user@api.example/', 'https://api.example/?a=b', 'https://api.example/#a', 'https://169.254.169.254/', 'https://2852039166/', 'https://0xA9.0xFE.0xA9.0xFE/', 'https://[::ffff:a9fe:a9fe]/', 'https://[::ffff:169.254.169.254]/', 'https://[fe80::1]/', 'https://0.0.0.0/', 'https://[::]/', 'https://metadata.azure.internal/', 'https://metadata.google.internal/', 'https://metadata.azure.internal./', 1, {}]) {
    t.match(faultsOf({ source: { Api: { BaseUrl } } }), [/^Api\.BaseUrl: /], JSON.stringify(BaseUrl))
  }
  t.match(faultsOf({ source: { Api: { RelativePath: 'x' } }, downstreamApis: ['Api'] }), [/^Api\.BaseUrl: is missing$/])
})

t.test('an app section that an API needs and that lacks something is a fault for each; one that none needs is not', async t => {
  t.match(faultsOf({ source: { AzureAd: {}, MyWebApi } }), ['Instance', 'TenantId', 'ClientId', 'ClientCredentials'].map(key => `AzureAd.${key}: is missing, and MyWebApi needs it`))
  t.match(faultsOf({ source: { AzureAd: { ...AzureAd, ClientCredentials: [{ SourceType: 'ClientSecret', ClientSecret: 's', Skip: true }] }, MyWebApi } }), [/ClientCredentials: is missing/])
  t.strictSame(faultsOf({ source: { AzureAd: {}, Managed: managed, Open: { BaseUrl: MyWebApi.BaseUrl } } }), [])
  t.strictSame(faultsOf({ source: { AzureAd: { ClientCapabilities: ['cp1'] }, MyWebApi } }), [], 'capabilities alone are for managed identities')
  t.strictSame(faultsOf({ source: { MyWebApi } }), [], 'a section that is not there is for the call to tell: its override may cure it')
  t.strictSame(faultsOf({ source: { AzureAd: null, MyWebApi } }), [])
})

t.test('unknown keys are faults, and the key that was meant is told in the user\'s own style', async t => {
  for (const [section, message] of [
    [{ BaseUr: 'x' }, /^Api\.BaseUr: unknown key, did you mean BaseUrl\?$/],
    [{ relativPath: 'x' }, /^Api\.relativPath: unknown key, did you mean relativePath\?$/],
    [{ Scpoes: 'x' }, /did you mean Scopes\?$/],
    [{ 'Scopes ': 'x' }, /^Api\.Scopes : unknown key, did you mean Scopes\?$/],
    [{ Cheese: 'x' }, /^Api\.Cheese: unknown key$/],
    [{ AcquireTokenOptions: { 'ManagedIdentity ': {} } }, /^Api\.AcquireTokenOptions\.ManagedIdentity : unknown key, did you mean ManagedIdentity\?$/],
    [{ acquireTokenOptions: { managedIdentity: { userAssignedClientID2: guid } } }, /did you mean userAssignedClientId\?$/],
    [{ Scopes: 'x', scopes: 'y' }, /^Api\.scopes: the key is there twice, in different letter case$/],
  ] as const) {
    t.match(faultsOf({ source: { Api: { BaseUrl: MyWebApi.BaseUrl, ...section } }, downstreamApis: ['Api'] }), [message])
  }
})

t.test('values of a wrong type or shape are faults, each with its key path', async t => {
  for (const [section, message] of [
    [{ RequestAppToken: 'yes' }, /^Api\.RequestAppToken: expected true or false$/],
    [{ Timeout: 'soon' }, /^Api\.Timeout: expected a number$/],
    [{ Timeout: 0 }, /at least 1 ms/], [{ Timeout: 2 ** 31 }, /at most/], [{ Timeout: 1.5 }, /whole number/],
    [{ Retry: -1 }, /at least 0/], [{ Retry: 11 }, /at most 10/],
    [{ Scopes: 7 }, /^Api\.Scopes: expected a list$/], [{ Scopes: ['a b'] }, /^Api\.Scopes\[0\]: expected a scope/], [{ Scopes: ['a', 'x&grant_type="y"'] }, /^Api\.Scopes\[1\]/],
    [{ HttpMethod: 'CONNECT' }, /^Api\.HttpMethod: expected GET, HEAD/],
    [{ ProtocolScheme: 'MTLS_POP' }, /^Api\.ProtocolScheme: only Bearer is supported$/],
    [{ ExtraHeaderParameters: { 'x y': 'a' } }, /^Api\.ExtraHeaderParameters\.x y: expected the name of a header$/],
    ...['a\r\nb', 'a\u0000', 'a\u007f', 'a\nb'].map(value => [{ ExtraHeaderParameters: { x: value } }, /^Api\.ExtraHeaderParameters\.x: a header value must not hold CR, LF/] as const),
    [{ ExtraHeaderParameters: 'x' }, /^Api\.ExtraHeaderParameters: expected an object$/],
    [{ AcceptHeader: 'a\r\nb' }, /^Api\.AcceptHeader: /], [{ ContentType: 'json' }, /^Api\.ContentType: expected a media type$/],
    [{ Query: { a: {} } }, /^Api\.Query\.a: expected text, a number/], [{ Query: [] }, /^Api\.Query: expected an object$/], [{ AcquireTokenOptions: [] }, /^Api\.AcquireTokenOptions: expected an object$/], [{ PathParameters: { a: true } }, /^Api\.PathParameters\.a: expected text or a number$/],
    [{ Signal: {} }, /AbortSignal/], [{ Dispatcher: {} }, /Dispatcher/], [{ Serializer: 'x' }, /expected a function/],
    [{ AcquireTokenOptions: 'x' }, /^Api\.AcquireTokenOptions: expected an object$/],
    [{ AcquireTokenOptions: { ManagedIdentity: 'x' } }, /^Api\.AcquireTokenOptions\.ManagedIdentity: expected an object$/],
    [{ AcquireTokenOptions: { ManagedIdentity: { UserAssignedClientId: 'x' } } }, /UserAssignedClientId: expected a GUID$/],
    [{ AcquireTokenOptions: { ManagedIdentity: { UserAssignedResourceId: 'x' } } }, /begins with \/subscriptions\//],
    [{ AcquireTokenOptions: { ManagedIdentity: { UserAssignedClientId: guid, UserAssignedObjectId: guid } } }, /^Api\.AcquireTokenOptions\.ManagedIdentity: one identity only/],
    [{ AcquireTokenOptions: { Tenant: '../x' } }, /the id or the domain name of a tenant$/], [{ AcquireTokenOptions: { Tenant: 'a..b' } }, /tenant$/],
    [{ AcquireTokenOptions: { Claims: 'x' } }, /JSON object/], [{ AcquireTokenOptions: { Claims: '[]' } }, /JSON object/], [{ AcquireTokenOptions: { CorrelationId: 'x' } }, /GUID/],
    [{ AcquireTokenOptions: { PopPublicKey: 'x' } }, /proof-of-possession tokens are not supported$/],
  ] as const) {
    t.match(faultsOf({ source: { Api: { BaseUrl: MyWebApi.BaseUrl, ...section } } }), [message], JSON.stringify(section))
  }
  for (const source of [7, 'text', []]) t.throws(() => parseConfiguration({ source }), { code: 'FST_IDW_CONFIG_INVALID', message: /expected an object/ })
  t.match(faultsOf({ source: { AzureAd: 'text' } }), [/^AzureAd: expected an object$/])
  t.match(faultsOf({ source: { AzureAd: '{"broken' } }), [/^AzureAd: expected an object, and the text is not valid JSON$/])
})

t.test('all faults are told at once', async t => {
  const faults = faultsOf({ source: { AzureAd: { ClientIdd: 'x', Instance: 'https://evil.example' }, MyWebApi: { BaseUrl: 'x', Scpoes: 1 }, Other: { BaseUrl: 'http://a.example', Timeout: 'x' } } })
  t.strictSame(faults.map(fault => fault.split(':')[0]).sort(), ['AzureAd.ClientIdd', 'AzureAd.Instance', 'MyWebApi.BaseUrl', 'MyWebApi.Scpoes', 'Other.BaseUrl', 'Other.Timeout'])
})

t.test('client credentials: ClientSecret is served, and a legacy ClientSecret is one; others say what to use, unless skipped', async t => {
  const credentialsOf = (section: object) => parseConfiguration({ source: { AzureAd: section } }).app()?.clientCredentials
  t.match(credentialsOf({ ClientSecret: 's' }), [{ sourceType: 'ClientSecret', clientSecret: 's' }])
  t.match(credentialsOf({ ClientSecret: 's', ClientCredentials: AzureAd.ClientCredentials }), [{ clientSecret: 's' }])
  t.match(credentialsOf({ ClientCredentials: { 0: { SourceType: 'ClientSecret', ClientSecret: 'env' } } }), [{ clientSecret: 'env' }])
  t.match(credentialsOf({ ClientCredentials: [{ SourceType: 'StoreWithThumbprint', Skip: true, CertificateThumbprint: 'x' }, { SourceType: 'KeyVault', KeyVaultUrl: 'https://v.example/', KeyVaultCertificateName: 'c', Skip: 'true' }, { SourceType: 'ClientSecret', ClientSecret: 's' }] }), [{ skip: true }, { skip: true }, { clientSecret: 's' }])
  for (const SourceType of ['Certificate', 'StoreWithThumbprint', 'StoreWithDistinguishedName', 'StoreWithSubjectName', 'AutoDecryptKeys', 'ManagedCertificate']) {
    const faults = faultsOf({ source: { AzureAd: { ClientCredentials: [{ SourceType: 'ClientSecret', ClientSecret: 's' }, { SourceType }] } } })
    t.match(faults.at(-1), /^AzureAd\.ClientCredentials\[1\]\.SourceType: .*use (ClientSecret|Path)/, SourceType)
  }
  for (const [ClientCredentials, message] of [
    [[{ SourceType: 'Secret', ClientSecret: 's' }], /ClientCredentials\[0\]\.SourceType: expected one of ClientSecret, Path/], [[{ SourceType: 'ClientSecre' }], /SourceType: unknown kind, did you mean ClientSecret\?$/], [[{}], /SourceType: is missing/], [['x'], /ClientCredentials\[0\]: expected an object/], [['a b'], /\[0\]/],
    [[{ SourceType: 'ClientSecret' }], /ClientCredentials\[0\]\.ClientSecret: is missing/], [[{ SourceType: 'ClientSecret', ClientSecret: '' }], /ClientSecret: is empty$/], [7, /ClientCredentials: expected a list/],
  ] as const) t.match(faultsOf({ source: { AzureAd: { ClientCredentials } } }), [message], JSON.stringify(ClientCredentials))
})

t.test('signed assertions are served, with the keys that .NET has for them', async t => {
  const ClientCredentials = [
    { SourceType: 'SignedAssertionFromManagedIdentity', ManagedIdentityClientId: guid.toUpperCase(), TokenExchangeUrl: 'api://Exchange', TokenExchangeAuthority: 'https://login.microsoftonline.us/' },
    { SourceType: 'signedassertionfilepath', SignedAssertionFileDiskPath: '/token' },
    { SourceType: 'SignedAssertionFilePath' },
    { SourceType: 'SignedAssertionFromVault', KeyVaultUrl: 'https://v.example/', CustomSignedAssertionProviderName: 'vault' },
    { SourceType: 'CustomSignedAssertion', CustomSignedAssertionProviderName: 'signer', CustomSignedAssertionProviderData: { Key: 'todo', nested: { deep: 1 } } },
  ]
  const configuration = parseConfiguration({ source: { AzureAd: { ClientCredentials } }, assertionProviders: ['vault', 'signer'] })
  const credentials = configuration.app()?.clientCredentials

  t.match(credentials, [{ managedIdentityClientId: guid, tokenExchangeUrl: 'api://Exchange' }, { signedAssertionFileDiskPath: '/token' }, { sourceType: 'SignedAssertionFilePath' }, { customSignedAssertionProviderName: 'vault' }, { customSignedAssertionProviderData: { Key: 'todo', nested: { deep: 1 } } }])
  t.ok(Object.isFrozen((credentials?.[4] as unknown as { customSignedAssertionProviderData: { nested: object } }).customSignedAssertionProviderData.nested))
  t.strictSame(configuration.warnings, [])
})

t.test('a provider that is not there is a fault, which lists those that are, and names the one that was meant', async t => {
  const custom = (CustomSignedAssertionProviderName: string, given: object = {}) => ({ SourceType: 'CustomSignedAssertion', CustomSignedAssertionProviderName, ...given })
  const faults = (ClientCredentials: object[], assertionProviders?: string[]) => faultsOf({ source: { AzureAd: { ClientCredentials } }, ...assertionProviders && { assertionProviders } })
  const where = 'AzureAd.ClientCredentials[0].CustomSignedAssertionProviderName'

  t.strictSame(faults([custom('Singer'), custom('signer')], ['signer', 'vault']), [`${where}: there is no provider "Singer" in the option customSignedAssertionProviders, which has "signer", "vault"; did you mean "signer"?`])
  t.strictSame(faults([custom('other')], ['signer']), [`${where}: there is no provider "other" in the option customSignedAssertionProviders, which has "signer"`])
  t.strictSame(faults([custom('constructor')], []), [`${where}: there is no provider "constructor": the option customSignedAssertionProviders is empty`])
  t.match(faults([{ SourceType: 'SignedAssertionFromVault', KeyVaultUrl: 'https://v.example/' }], ['signer']), [/CustomSignedAssertionProviderName: is missing: nothing here signs with a vault by itself/])
  t.strictSame(faults([custom('other', { Skip: true }), { SourceType: 'SignedAssertionFromVault', Skip: true }], ['signer']), [])
  t.strictSame(faults([custom('any')]), [], 'where nobody knows which there are, any may be right')
  t.match(faultsOf({ azureAd: { clientCredentials: [{ sourceType: 'CustomSignedAssertion', customSignedAssertionProviderName: 'other' }] }, assertionProviders: [] }), [/^options\.azureAd\.clientCredentials\[0\]\.customSignedAssertionProviderName: there is no provider/])
  t.match(faultsOf({ source: { MyWebApi: { ...MyWebApi, AcquireTokenOptions: { AuthenticationOptionsName: 'Second' } }, Second: { ...AzureAd, ClientCredentials: [custom('other')] } }, assertionProviders: [] }), [/^Second\.ClientCredentials\[0\]/])
})

t.test('the older keys of a managed identity as credential are one, before an older secret, and nothing beside ClientCredentials', async t => {
  const read = (section: object) => {
    const { app, warnings } = parseConfiguration({ source: { AzureAd: section } })
    return { credentials: app()?.clientCredentials, isIdentity: app()?.isIdentity, warnings }
  }
  const older = { IsEnabled: 'true', ManagedIdentityClientId: guid }

  t.strictSame(read({ ClientCredentialsUsingManagedIdentity: older, ClientSecret: 's' }), { credentials: [{ sourceType: 'SignedAssertionFromManagedIdentity', managedIdentityClientId: guid }, { sourceType: 'ClientSecret', clientSecret: 's' }], isIdentity: true, warnings: [] })
  t.strictSame(read({ ClientCredentialsUsingManagedIdentity: { IsEnabled: true } }), { credentials: [{ sourceType: 'SignedAssertionFromManagedIdentity' }], isIdentity: true, warnings: [] })
  t.strictSame(read({ ClientCredentialsUsingManagedIdentity: { IsEnabled: false, ManagedIdentityClientId: guid } }), { credentials: [], isIdentity: true, warnings: [] })
  t.match(read({ ClientCredentialsUsingManagedIdentity: older, ClientCredentials: AzureAd.ClientCredentials }), { credentials: [{ clientSecret: 's' }], warnings: ['AzureAd.ClientCredentialsUsingManagedIdentity: ignored, since ClientCredentials is given'] })
})

t.test('client credentials: certificates are served, and say what they lack', async t => {
  const credentialsOf = (...ClientCredentials: object[]) => parseConfiguration({ source: { AzureAd: { ClientCredentials } } }).app()?.clientCredentials
  t.strictSame(credentialsOf({ SourceType: 'path', CertificateDiskPath: 'a.pfx', CertificatePassword: '' }, { SourceType: 'Base64Encoded', Base64EncodedValue: 'MII=', CertificatePassword: 'p' }, { SourceType: 'KeyVault', KeyVaultUrl: 'https://contoso.vault.azure.net', KeyVaultCertificateName: 'c', ManagedIdentityClientId: guid.toUpperCase() }), [
    { sourceType: 'Path', certificateDiskPath: 'a.pfx', certificatePassword: '' },
    { sourceType: 'Base64Encoded', base64EncodedValue: 'MII=', certificatePassword: 'p' },
    { sourceType: 'KeyVault', keyVaultUrl: 'https://contoso.vault.azure.net', keyVaultCertificateName: 'c', managedIdentityClientId: guid },
  ])
  for (const [credential, ...messages] of [
    [{ SourceType: 'Path' }, /\[0\]\.CertificateDiskPath: is missing$/], [{ SourceType: 'Base64Encoded', Base64EncodedValue: '' }, /\[0\]\.Base64EncodedValue: is empty$/],
    [{ SourceType: 'KeyVault', KeyVaultUrl: 'https://contoso.vault.azure.net' }, /\[0\]\.KeyVaultCertificateName: is missing$/],
    [{ SourceType: 'Path', CertificateDiskPth: 'a' }, /CertificateDiskPth: unknown key, did you mean CertificateDiskPath\?$/, /is missing$/],
  ] as const) t.match(faultsOf({ source: { AzureAd: { ClientCredentials: [credential] } } }), messages, JSON.stringify(credential))
})

t.test('a certificate is asked of a Key Vault of Azure or of loopback only', async t => {
  const faultsOfVault = (KeyVaultUrl: string, more = {}) => faultsOf({ source: { AzureAd: { ClientCredentials: [{ SourceType: 'KeyVault', KeyVaultUrl, KeyVaultCertificateName: 'c', ...more }] } } })
  for (const url of ['https://contoso.vault.azure.net', 'https://Contoso-1.vault.azure.net/', 'https://c.vault.azure.cn', 'https://c.vault.usgovcloudapi.net/', 'https://c.vault.microsoftazure.de', 'http://localhost:1234', 'https://127.0.0.1:8443/', 'http://[::1]:80/']) t.strictSame(faultsOfVault(url), [], url)
  for (const [url, message] of [
    ['contoso', /expected an absolute URL$/], ['http://contoso.vault.azure.net', /expected https/], ['https://contoso.vault.azure.net/certificates/c', /expected the vault alone.*KeyVaultCertificateName$/], ['https://u:sEcReT@c.vault.azure.net', /must not hold credentials$/],
    ...['https://evil.example', 'https://vault.azure.net', 'https://c.vault.azure.net.evil.example', 'https://c.evilvault.azure.net', 'https://a.b.vault.azure.net', 'https://c.vault.azure.net:8443', 'https://10.0.0.1', 'https://c.vault.azure.net.'].map(url => [url, /expected a vault of Azure, as in https:\/\/contoso\.vault\.azure\.net\/$/] as const),
    ['https://c.vault.azure.net/?a=b', /without query and fragment$/],
  ] as const) {
    const faults = faultsOfVault(url)
    t.match(faults, [/^AzureAd\.ClientCredentials\[0\]\.KeyVaultUrl: /], url)
    t.match(faults, [message], url)
    t.notMatch(faults.join(), /sEcReT/)
    t.strictSame(faultsOfVault(url, { Skip: true }), [], 'skipped')
  }
})

t.test('the ClientCertificates of older configurations come before ClientSecret, and are ignored beside ClientCredentials', async t => {
  const ClientCertificates = [{ SourceType: 'Path', CertificateDiskPath: 'a.pfx' }]
  const parse = (section: object) => parseConfiguration({ source: { AzureAd: { ...AzureAd, ClientCredentials: undefined, ...section } } })
  t.match(parse({ ClientCertificates }).app()?.clientCredentials, [{ sourceType: 'Path', certificateDiskPath: 'a.pfx' }])
  t.strictSame(parse({ ClientCertificates, ClientSecret: 's' }).app()?.clientCredentials.map(({ sourceType }) => sourceType), ['Path', 'ClientSecret'])
  t.strictSame(parse({ ClientCertificates, ClientSecret: 's' }).warnings, [])

  const both = parse({ ClientCertificates, ClientSecret: 's', ClientCredentials: AzureAd.ClientCredentials })
  t.strictSame(both.app()?.clientCredentials.map(({ sourceType }) => sourceType), ['ClientSecret'])
  t.strictSame(both.warnings, ['AzureAd.ClientCertificates: ignored, since ClientCredentials is given', 'AzureAd.ClientSecret: ignored, since ClientCredentials is given'])
  t.match(faultsOf({ source: { AzureAd: { ClientCertificates: [{ SourceType: 'Path' }] } } }), [/^AzureAd\.ClientCertificates\[0\]\.CertificateDiskPath: is missing$/])
})

t.test('keys of .NET web apps that mean nothing here are taken, with one warning', async t => {
  t.match(parseConfiguration({ source: { AzureAd: { ...AzureAd, CallbackPath: '/signin-oidc', Scopes: 'access_as_user', EnablePiiLogging: false } } }).warnings, [/^AzureAd: CallbackPath, Scopes, EnablePiiLogging have no effect here$/])
  t.match(parseConfiguration({ source: { AzureAd: { ...AzureAd, CallbackPath: '/signin-oidc' } } }).warnings, [/^AzureAd: CallbackPath has no effect here$/])
})

t.test('prototype keys are refused wherever they come from', async t => {
  for (const source of [
    JSON.parse('{"__proto__":{"x":1}}'), { constructor: {} }, { prototype: {} }, { AzureAd: JSON.parse('{"__proto__":{"x":1}}') }, { AzureAd: '{"__proto__":{"x":1}}' },
    { AzureAd__constructor__prototype__x: '1' }, { AzureAd____proto____x: '1' }, { Api: { BaseUrl: 'https://x/', ExtraQueryParameters: JSON.parse('{"__proto__":"x"}') } }, { Api: { BaseUrl: 'https://x/', AcquireTokenOptions: { constructor: {} } } }, { DownstreamApis: JSON.parse('{"__proto__":{"BaseUrl":"https://x/"}}') },
  ]) {
    t.ok(faultsOf({ source }).some(fault => /not allowed/.test(fault)), JSON.stringify(source))
  }
  t.equal(({} as { x?: unknown }).x, undefined)
})

t.test('flat keys are unfolded, go before what stands in the section, and change nothing that was given', async t => {
  const source = { AzureAd: { ...AzureAd }, azuread__tenantId: 'flat', MyWebApi: JSON.stringify(MyWebApi), MyWebApi__Scopes__0: 'api://flat/.default', MyWebApi__AcquireTokenOptions__ManagedIdentity__UserAssignedClientId: guid, Other__Scopes__1: 'b', Other__Scopes__0: 'a', Other__BaseUrl: 'https://o.example/', AzureAd__ClientCredentials__0__ClientSecret: 'flat' }
  const { app, apis } = parseConfiguration({ source })
  t.match(app(), { tenantId: 'flat', clientCredentials: [{ clientSecret: 'flat' }] })
  t.match(apis.get('MyWebApi'), { scopes: ['api://flat/.default'], acquireTokenOptions: { managedIdentity: { userAssignedClientId: guid } } })
  t.strictSame(apis.get('Other')?.scopes, ['a', 'b'])
  t.equal(source.AzureAd.ClientCredentials[0]?.ClientSecret, 's')
})
