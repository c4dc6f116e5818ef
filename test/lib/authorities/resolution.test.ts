import t from 'tap'
import { authorityForApp, authorityForUser } from '../../../lib/authorities/authority.ts'
import { parseConfiguration } from '../../../lib/configuration/configuration.ts'
import type { ConfigurationError, IdentityWebError } from '../../../lib/errors.ts'

// One line for each way to name an authority: what the section says, and where an app token is asked for.

const guid = '9b3f1c6e-2d4a-4b8e-9f10-0a1b2c3d4e5f'
const home = 'home.example'
const meta = 'FST_IDW_TENANT_REQUIRED'

interface Row {
  readonly section: object
  /** Of the call. */
  readonly tenant?: string
  /** The token endpoint, or the code of the error. */
  readonly asks: string
  readonly warning?: RegExp
}

const cloud = 'https://login.microsoftonline.com'
const rows: Readonly<Record<string, readonly Row[]>> = {
  'Instance and TenantId': [
    { section: { Instance: `${cloud}/`, TenantId: guid }, asks: `${cloud}/${guid}/oauth2/v2.0/token` },
    { section: { Instance: cloud, TenantId: guid.toUpperCase() }, asks: `${cloud}/${guid}/oauth2/v2.0/token` },
    { section: { Instance: `${cloud}///`, TenantId: guid }, asks: `${cloud}/${guid}/oauth2/v2.0/token` },
    { section: { Instance: 'HTTPS://LOGIN.microsoftonline.com', TenantId: 'Contoso.Example' }, asks: `${cloud}/contoso.example/oauth2/v2.0/token` },
    { section: { Instance: cloud }, asks: 'FST_IDW_NO_AUTHORITY' },
    { section: { TenantId: guid }, asks: 'FST_IDW_NO_AUTHORITY' },
    { section: {}, asks: 'FST_IDW_NO_AUTHORITY' },
  ],
  'the clouds, and their older names': [
    ...['login.microsoft.com', 'login.windows.net', 'sts.windows.net', 'login.microsoftonline.us', 'login.usgovcloudapi.net', 'login.partner.microsoftonline.cn', 'login.chinacloudapi.cn', 'login.microsoftonline.de', 'login.sovcloud-identity.fr']
      .map(host => ({ section: { Instance: `https://${host}/`, TenantId: guid }, asks: `https://${host}/${guid}/oauth2/v2.0/token` })),
  ],
  'Authority alone': [
    ...['', '/', '/v2.0', '/v2.0/', '/V2.0', '//', '/oauth2/v2.0/authorize'].map(end => ({ section: { Authority: `${cloud}/${guid}${end}` }, asks: `${cloud}/${guid}/oauth2/v2.0/token` })),
    { section: { Authority: `${cloud}//${guid}//v2.0` }, asks: `${cloud}/${guid}/oauth2/v2.0/token` },
    { section: { Authority: `${cloud}/${guid}?dc=one` }, asks: `${cloud}/${guid}/oauth2/v2.0/token` },
    { section: { Authority: cloud }, asks: 'FST_IDW_NO_AUTHORITY' },
    { section: { Authority: `${cloud}//v2.0` }, asks: 'FST_IDW_NO_AUTHORITY' },
    { section: { Authority: `${cloud}/v2.0` }, tenant: 'contoso.example', asks: `${cloud}/contoso.example/oauth2/v2.0/token` },
  ],
  'Authority beside Instance or TenantId, which is ignored': [
    { section: { Authority: 'https://login.microsoftonline.us/other', Instance: cloud, TenantId: guid }, asks: `${cloud}/${guid}/oauth2/v2.0/token`, warning: /^AzureAd\.Authority: ignored, since Instance or TenantId is given$/ },
    { section: { Authority: `${cloud}/other`, TenantId: guid }, asks: 'FST_IDW_NO_AUTHORITY', warning: /Authority: ignored/ },
    { section: { Authority: 'https://evil.example/other', Instance: cloud, TenantId: guid }, asks: `${cloud}/${guid}/oauth2/v2.0/token`, warning: /Authority: ignored/ },
  ],
  'the tenant of a call': [
    { section: { Instance: cloud, TenantId: guid }, tenant: 'Contoso.Example', asks: `${cloud}/contoso.example/oauth2/v2.0/token` },
    { section: { Instance: cloud }, tenant: guid, asks: `${cloud}/${guid}/oauth2/v2.0/token` },
  ],
  'meta-tenants, which give no app token': [
    ...['common', 'organizations', 'consumers', 'Common'].flatMap(TenantId => [
      { section: { Instance: cloud, TenantId }, asks: meta },
      { section: { Authority: `${cloud}/${TenantId}/v2.0` }, asks: meta },
      { section: { Instance: cloud, TenantId: guid }, tenant: TenantId, asks: meta },
      { section: { Instance: cloud, TenantId, AppHomeTenantId: 'Home.example' }, asks: `${cloud}/${home}/oauth2/v2.0/token` },
      { section: { Instance: cloud, TenantId: guid, AppHomeTenantId: home }, tenant: TenantId, asks: `${cloud}/${home}/oauth2/v2.0/token` },
      { section: { Instance: cloud, TenantId, AppHomeTenantId: 'organizations' }, asks: meta },
      { section: { Instance: cloud, TenantId, AppHomeTenantId: home }, tenant: guid, asks: `${cloud}/${guid}/oauth2/v2.0/token` },
    ]),
  ],
  'Entra External ID': [
    { section: { Instance: 'https://contoso.ciamlogin.com/' }, asks: 'https://contoso.ciamlogin.com/contoso.onmicrosoft.com/oauth2/v2.0/token' },
    { section: { Authority: 'https://contoso.ciamlogin.com/' }, asks: 'https://contoso.ciamlogin.com/contoso.onmicrosoft.com/oauth2/v2.0/token' },
    { section: { Authority: 'https://contoso.ciamlogin.com/fabrikam.example/v2.0' }, asks: 'https://contoso.ciamlogin.com/fabrikam.example/oauth2/v2.0/token' },
    { section: { Instance: 'https://contoso.ciamlogin.com', TenantId: guid }, asks: `https://contoso.ciamlogin.com/${guid}/oauth2/v2.0/token` },
    { section: { Instance: 'https://contoso.ciamlogin.com', TenantId: guid }, tenant: 'other.example', asks: `https://contoso.ciamlogin.com/${guid}/oauth2/v2.0/token` },
    { section: { Instance: 'https://contoso.ciamlogin.com', SignUpSignInPolicyId: 'B2C_1_susi' }, asks: 'https://contoso.ciamlogin.com/contoso.onmicrosoft.com/oauth2/v2.0/token', warning: /^AzureAd\.SignUpSignInPolicyId: has no effect, since only Azure AD B2C has policies$/ },
    { section: { Instance: cloud, TenantId: guid, SignUpSignInPolicyId: 'B2C_1_susi', Domain: '[your domain]' }, asks: `${cloud}/${guid}/oauth2/v2.0/token`, warning: /SignUpSignInPolicyId: has no effect/ },
  ],
  'Azure AD B2C': [
    ...['https://contoso.b2clogin.com', 'https://contoso.b2clogin.com/tfp/', 'https://contoso.b2clogin.com/TFP'].flatMap(Instance => [
      { section: { Instance, SignUpSignInPolicyId: 'B2C_1_SUSI', Domain: 'fabrikam.example' }, asks: 'https://contoso.b2clogin.com/fabrikam.example/b2c_1_susi/oauth2/v2.0/token' },
      { section: { Instance, SignUpSignInPolicyId: 'b2c_1_susi', Domain: 'fabrikam.example', TenantId: guid }, asks: 'https://contoso.b2clogin.com/fabrikam.example/b2c_1_susi/oauth2/v2.0/token' },
      { section: { Instance, SignUpSignInPolicyId: 'b2c_1_susi', TenantId: guid }, asks: `https://contoso.b2clogin.com/${guid}/b2c_1_susi/oauth2/v2.0/token` },
      { section: { Instance, SignUpSignInPolicyId: 'b2c_1_susi' }, asks: 'https://contoso.b2clogin.com/contoso.onmicrosoft.com/b2c_1_susi/oauth2/v2.0/token' },
      { section: { Instance, SignUpSignInPolicyId: 'b2c_1_susi' }, tenant: 'other.example', asks: 'https://contoso.b2clogin.com/other.example/b2c_1_susi/oauth2/v2.0/token' },
      { section: { Instance, TenantId: guid, Domain: 'not read' }, asks: `https://contoso.b2clogin.com/${guid}/oauth2/v2.0/token` },
    ]),
    ...['/tfp/fabrikam.example/B2C_1A_susi/v2.0', '/fabrikam.example/B2C_1A_susi/v2.0/', '/fabrikam.example/b2c_1a_susi'].map(path => ({ section: { Authority: `https://contoso.b2clogin.com${path}` }, asks: 'https://contoso.b2clogin.com/fabrikam.example/b2c_1a_susi/oauth2/v2.0/token' })),
    { section: { Authority: 'https://contoso.b2clogin.com/tfp/fabrikam.example/B2C_1_one', SignUpSignInPolicyId: 'B2C_1_two' }, asks: 'https://contoso.b2clogin.com/fabrikam.example/b2c_1_two/oauth2/v2.0/token' },
    { section: { Authority: 'https://contoso.b2clogin.com/tfp/fabrikam.example/v2.0' }, asks: 'https://contoso.b2clogin.com/fabrikam.example/oauth2/v2.0/token' },
  ],
  'custom domains, proxies and loopback hosts': [
    { section: { Instance: 'https://login.contoso.example/', TenantId: guid, KnownAuthorities: ['login.contoso.example'] }, asks: `https://login.contoso.example/${guid}/oauth2/v2.0/token` },
    { section: { Instance: 'https://proxy.example:8443/entra//id/', TenantId: guid, KnownAuthorities: ['PROXY.example:8443'] }, asks: `https://proxy.example:8443/entra/id/${guid}/oauth2/v2.0/token` },
    { section: { Instance: 'https://login.contoso.example/tfp', SignUpSignInPolicyId: 'b2c_1_susi', Domain: 'contoso.example', KnownAuthorities: ['login.contoso.example'] }, asks: 'https://login.contoso.example/contoso.example/b2c_1_susi/oauth2/v2.0/token' },
    { section: { Instance: 'https://login.contoso.example', SignUpSignInPolicyId: 'b2c_1_susi', KnownAuthorities: ['login.contoso.example'] }, asks: 'FST_IDW_NO_AUTHORITY' },
    { section: { Instance: 'http://127.0.0.1:8420', TenantId: guid }, asks: `http://127.0.0.1:8420/${guid}/oauth2/v2.0/token` },
    { section: { Instance: 'http://[::1]:8420/', TenantId: guid }, asks: `http://[::1]:8420/${guid}/oauth2/v2.0/token` },
    { section: { Instance: 'https://localhost/', TenantId: guid }, asks: `https://localhost/${guid}/oauth2/v2.0/token` },
  ],
}

const app = { ClientId: 'app', ClientSecret: 'secret' }
const configurationOf = (section: object) => parseConfiguration({ source: { AzureAd: { ...app, ...section } } })

function asked (section: object, tenant: string | undefined): string {
  try {
    return authorityForApp(configurationOf(section).app(), 'AzureAd', tenant).authority.tokenEndpoint
  } catch (error) {
    return (error as IdentityWebError).code
  }
}

for (const [title, table] of Object.entries(rows)) {
  t.test(`an app token is asked for where the section says: ${title}`, async t => {
    for (const { section, tenant, asks, warning } of table) {
      const line = JSON.stringify([section, tenant])
      t.equal(asked(section, tenant), asks, line)
      t.match(configurationOf(section).warnings, warning === undefined ? [] : [warning], line)
      t.equal(configurationOf(section).warnings.length, warning === undefined ? 0 : 1, line)
    }
  })
}

t.test('what cannot be an authority is a fault that says what to write', async t => {
  const hostAlone = /^AzureAd\.Instance: expected the host alone; the tenant belongs into TenantId$/
  for (const [section, fault] of [
    [{ Instance: 'https://login.microsoftonline.com.evil' }, /^AzureAd\.Instance: the host login\.microsoftonline\.com\.evil is not known/],
    [{ Instance: `${cloud}/contoso/` }, hostAlone],
    [{ Instance: `${cloud}/tfp/` }, hostAlone],
    [{ Instance: 'https://contoso.ciamlogin.com/contoso/' }, hostAlone],
    [{ Instance: 'https://contoso.b2clogin.com/contoso/' }, hostAlone],
    [{ Instance: `${cloud}/?dc=one` }, /^AzureAd\.Instance: expected a URL without query and fragment$/],
    [{ Instance: 'https://dsts.core.windows.net/dstsv2/' }, /^AzureAd\.Instance: dSTS is an authority of Microsoft's own services and is not served$/],
    [{ Authority: `https://dsts.core.windows.net/dstsv2/${guid}` }, /^AzureAd\.Authority: dSTS is an authority/],
    [{ Authority: 'login.microsoftonline.com/contoso' }, /^AzureAd\.Authority: expected an absolute URL$/],
    [{ Authority: 'https://login.contoso.example/contoso' }, /^AzureAd\.Authority: the host login\.contoso\.example is not known to be an authority; list it in KnownAuthorities if it is$/],
    [{ Authority: `${cloud}/tfp/contoso/b2c_1_susi` }, /^AzureAd\.Authority: tfp is a path of Azure AD B2C, which is under <name>\.b2clogin\.com or a custom domain$/],
    [{ Authority: 'https://contoso.ciamlogin.com/tfp/contoso' }, /tfp is a path of Azure AD B2C/],
    [{ Authority: `${cloud}/a%20b` }, /^AzureAd\.Authority: expected the id or the domain name of a tenant as the first part of the path$/],
    [{ Authority: `${cloud}/a..b` }, /as the first part of the path$/],
    [{ Authority: 'https://contoso.b2clogin.com/tfp/contoso/a%20b' }, /^AzureAd\.Authority: expected the name of a policy behind the tenant$/],
    [{ Authority: `${cloud}/${guid}#part` }, /^AzureAd\.Authority: expected a URL without query and fragment$/],
    [{ Authority: `${cloud}/${guid}?client_secret=sEcReT` }, /^AzureAd\.Authority: its query: OAuth gives this parameter a meaning/],
    ...['dc=1&DC=2', 'dc=1&dc=2', 'dc=1&%44c=2'].map(query => [{ Authority: `${cloud}/${guid}?${query}` }, /^AzureAd\.Authority: its query: a parameter is there twice, in any letter case$/] as const),
    ...['__proto__', 'constructor', '%5F_proto__'].map(name => [{ Authority: `${cloud}/${guid}?${name}=x` }, /^AzureAd\.Authority: its query: a parameter of this name is not allowed$/] as const),
    [{ Instance: 'https://contoso.b2clogin.com', SignUpSignInPolicyId: 'b2c_1_susi', Domain: 'a/b' }, /^AzureAd\.Domain: expected the id or the domain name of a tenant$/],
    [{ Authority: 'https://contoso.b2clogin.com/contoso/b2c_1_susi', Domain: 'a/b' }, /^AzureAd\.Domain: /],
    [{ Instance: 'https://contoso.b2clogin.com', SignUpSignInPolicyId: 'b2c_1_susi/../x' }, /^AzureAd\.SignUpSignInPolicyId: expected the name of a policy$/],
    [{ Instance: cloud, AzureRegion: 'evil.example/' }, /^AzureAd\.AzureRegion: expected a region, as in westus2, or TryAutoDetect$/],
    [{ Instance: cloud, ExtraQueryParameters: { dc: '1', DC: '2' } }, /^AzureAd\.ExtraQueryParameters: a parameter is there twice, in different letter case$/],
  ] as [object, RegExp][]) {
    t.throws(() => configurationOf(section), { code: 'FST_IDW_CONFIG_INVALID' })
    try {
      configurationOf(section)
    } catch (error) {
      const { faults } = error as ConfigurationError
      t.match(faults, [fault], JSON.stringify(section))
      t.equal(faults.length, 1, JSON.stringify(faults))
      t.notMatch(faults.join(), /sEcReT/)
    }
  }
})

t.test('the query of Authority joins ExtraQueryParameters, which go before it; what has no value is dropped', async t => {
  const extra = (section: object) => configurationOf(section).app()?.extraQueryParameters
  t.strictSame(extra({ Authority: `${cloud}/${guid}/v2.0?dc=a%26b&slice=x&flag&empty=` }), { dc: 'a&b', slice: 'x' })
  t.strictSame(extra({ Authority: `${cloud}/${guid}?dc=a&slice=x`, ExtraQueryParameters: { DC: 'b' } }), { dc: 'b', slice: 'x' })
  t.strictSame(extra({ Authority: `${cloud}/other?dc=a`, Instance: cloud, TenantId: guid }), {})
})

t.test('a region is kept where there are regional endpoints, and is told to be in vain elsewhere', async t => {
  const regionOf = (section: object) => {
    const { app, warnings } = configurationOf({ TenantId: guid, ...section })
    return [app()?.azureRegion, warnings.length]
  }
  t.strictSame(regionOf({ Instance: cloud, AzureRegion: 'West US 2' }), ['westus2', 0])
  t.strictSame(regionOf({ Instance: 'https://login.microsoftonline.us', AzureRegion: 'usgovvirginia' }), ['usgovvirginia', 0])
  t.strictSame(regionOf({ Instance: cloud, AzureRegion: 'TryAutoDetect' }), ['tryautodetect', 0])
  for (const Instance of ['https://contoso.ciamlogin.com', 'https://contoso.b2clogin.com', 'http://127.0.0.1:8420', 'https://login.sovcloud-identity.fr', 'https://login.contoso.example']) {
    t.strictSame(regionOf({ Instance, AzureRegion: 'westus2', KnownAuthorities: ['login.contoso.example'] }), [undefined, 1], Instance)
  }
  t.match(configurationOf({ Instance: 'https://localhost', AzureRegion: 'westus2' }).warnings, ['AzureAd.AzureRegion: has no effect, since the authority has no regional endpoints'])
  t.strictSame(configurationOf({ AzureRegion: 'westus2' }).warnings, [])
})

t.test('only hosts that the configuration lists, and that are not Microsoft\'s, are asked for their endpoints', async t => {
  const isDiscovered = (Instance: string, KnownAuthorities: string[]) => configurationOf({ Instance, TenantId: guid, KnownAuthorities }).app()?.isDiscovered
  for (const Instance of ['https://login.contoso.example', 'http://127.0.0.1:8420']) t.equal(isDiscovered(Instance, [new URL(Instance).host]), true, Instance)
  for (const Instance of [cloud, 'https://contoso.ciamlogin.com', 'https://contoso.b2clogin.com']) t.equal(isDiscovered(Instance, [new URL(Instance).host]), false, Instance)
  t.equal(isDiscovered('http://127.0.0.1:8420', []), false)
  t.equal(isDiscovered('http://127.0.0.1:8420', ['127.0.0.1']), false, 'another port is another host')
})

t.test('a user\'s token is asked for where the call says, or else where the user is from', async t => {
  const tenantFor = (section: object, tenant: string | undefined) => authorityForUser(configurationOf(section).app(), 'AzureAd', tenant, guid).authority.tenantId
  t.equal(tenantFor({ Instance: cloud, TenantId: 'contoso.example' }, undefined), guid)
  t.equal(tenantFor({ Instance: cloud, TenantId: 'common' }, undefined), guid)
  t.equal(tenantFor({ Instance: cloud, TenantId: 'common' }, 'Fabrikam.example'), 'fabrikam.example')
  t.equal(tenantFor({ Instance: cloud, TenantId: 'contoso.example' }, 'organizations'), guid)
  t.equal(tenantFor({ Instance: 'https://contoso.ciamlogin.com' }, undefined), 'contoso.onmicrosoft.com')
  t.throws(() => authorityForUser(undefined, 'AzureAd', undefined, guid), { code: 'FST_IDW_NO_AUTHORITY' })
})
