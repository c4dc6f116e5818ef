import t from 'tap'
import { managedIdentitySource } from '../../../lib/tokens/managed-identity-source.ts'

const local = 'http://127.0.0.1:41741/msi/token'

t.test('the platform is known by its variables, in MSAL\'s order', async t => {
  for (const [environment, source] of [
    [{ IDENTITY_ENDPOINT: 'https://10.0.0.4:2377/x', IDENTITY_HEADER: 'h', IDENTITY_SERVER_THUMBPRINT: 't' }, 'Service Fabric'],
    [{ IDENTITY_ENDPOINT: local, IDENTITY_HEADER: 'h', MSI_ENDPOINT: local }, 'App Service'],
    [{ IDENTITY_ENDPOINT: 'http://169.254.129.5:8081/msi/token', IDENTITY_HEADER: 'h' }, 'App Service'],
    [{ IDENTITY_ENDPOINT: 'http://localhost:42356/msi/token', IDENTITY_HEADER: 'h' }, 'App Service'],
    [{ MSI_ENDPOINT: local, MSI_SECRET: 's' }, 'Machine Learning'],
    [{ MSI_ENDPOINT: local }, 'Cloud Shell'],
    [{ IDENTITY_ENDPOINT: local, IMDS_ENDPOINT: local }, 'Azure Arc'],
    [{ IDENTITY_ENDPOINT: '', IDENTITY_HEADER: '' }, 'IMDS'],
    [{ AZURE_POD_IDENTITY_AUTHORITY_HOST: 'http://[fe80::1]:80' }, 'IMDS'],
    [{}, 'IMDS'],
  ] as const) {
    t.equal(managedIdentitySource({}, environment), source, JSON.stringify(environment))
  }
})

t.test('an endpoint that is neither loopback nor link-local is refused', async t => {
  for (const url of ['https://evil.example/', 'http://10.0.0.4/', 'http://127.0.0.1.evil.example/', 'ftp://127.0.0.1/', 'http://169.254.evil.example', 'not a url', 'http://localhost.evil.example/', 'http://[fc00::1]/', 'http://localhost@evil.example/']) {
    for (const environment of [{ IDENTITY_ENDPOINT: url, IDENTITY_HEADER: 'h' }, { MSI_ENDPOINT: url }, { MSI_ENDPOINT: url, MSI_SECRET: 's' }, { IDENTITY_ENDPOINT: url, IMDS_ENDPOINT: url }, { AZURE_POD_IDENTITY_AUTHORITY_HOST: url }]) {
      t.throws(() => managedIdentitySource({}, environment), { code: 'FST_IDW_CONFIG_INVALID', message: /loopback or link-local/ }, url)
    }
  }
})

t.test('Service Fabric may be on another machine, where its certificate can prove it: over https only', async t => {
  const endpointAt = (url: string) => ({ IDENTITY_ENDPOINT: url, IDENTITY_HEADER: 'h', IDENTITY_SERVER_THUMBPRINT: 't' })
  t.equal(managedIdentitySource({}, endpointAt('https://10.0.0.4:2377/metadata/identity/oauth2/token')), 'Service Fabric')
  for (const url of ['http://10.0.0.4:2377/', 'ftp://10.0.0.4/', 'not a url']) {
    t.throws(() => managedIdentitySource({}, endpointAt(url)), { code: 'FST_IDW_CONFIG_INVALID', message: /IDENTITY_ENDPOINT: .* https/ }, url)
  }
})

t.test('a kind of identity that the platform cannot select is refused, never answered as another identity', async t => {
  const byKind = { userAssignedClientId: 'c', userAssignedObjectId: 'o', userAssignedResourceId: 'r' }
  const platforms = {
    'Service Fabric': { environment: { IDENTITY_ENDPOINT: local, IDENTITY_HEADER: 'h', IDENTITY_SERVER_THUMBPRINT: 't' }, selectable: [] },
    'App Service': { environment: { IDENTITY_ENDPOINT: local, IDENTITY_HEADER: 'h' }, selectable: Object.keys(byKind) },
    'Machine Learning': { environment: { MSI_ENDPOINT: local, MSI_SECRET: 's' }, selectable: ['userAssignedClientId'] },
    'Cloud Shell': { environment: { MSI_ENDPOINT: local }, selectable: [] },
    'Azure Arc': { environment: { IDENTITY_ENDPOINT: local, IMDS_ENDPOINT: local }, selectable: Object.keys(byKind) },
    IMDS: { environment: {}, selectable: Object.keys(byKind) },
  } satisfies Record<string, { environment: Record<string, string>, selectable: string[] }>

  for (const [source, { environment, selectable }] of Object.entries(platforms)) {
    for (const [kind, id] of Object.entries(byKind)) {
      const ask = () => managedIdentitySource({ [kind]: id }, environment)
      if ((selectable as string[]).includes(kind)) t.equal(ask(), source)
      else t.throws(ask, { code: 'FST_IDW_CONFIG_INVALID', message: new RegExp(`${kind}: ${source}`) })
    }
    t.equal(managedIdentitySource({}, environment), source)
  }
})
