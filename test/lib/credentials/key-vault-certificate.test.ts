import t from 'tap'
import { inspect } from 'node:util'
import { Agent, MockAgent } from 'undici'
import { KeyVaultCertificate, type KeyVaultCertificateOptions } from '../../../lib/credentials/key-vault-certificate.ts'
import { TokenAcquisitionError } from '../../../lib/errors.ts'
import { Token } from '../../../lib/tokens/token.ts'
import { makeCertificate } from '../../fixtures/certificate.ts'
import { startKeyVault } from '../../fixtures/key-vault.ts'
import { makePfx } from '../../fixtures/pfx.ts'

const made = await makeCertificate()
const pfx = makePfx({ key: made.key, certs: [made.cert], password: '' }).toString('base64')
const thumbprint = Buffer.from(made.thumbprintSha256, 'hex').toString('base64url')
const token = new Token('tOkEn', { tokenType: 'Bearer', expiresOn: Date.now() + 3_600_000, refreshOn: undefined, tenantId: undefined, scopes: [], correlationId: '' })

type Tap = Parameters<typeof startKeyVault>[0]

const secretOf = (value: unknown) => JSON.stringify({ value, id: 'https://contoso.vault.azure.net/secrets/todo/1', attributes: {} })

function sourceOf (t: Tap, options: Partial<KeyVaultCertificateOptions> & { keyVaultUrl: string }, dispatcher?: MockAgent) {
  const asked: unknown[] = []
  const agent = new Agent()
  t.teardown(() => agent.destroy())
  const source = new KeyVaultCertificate({ keyVaultCertificateName: 'todo', ...options }, {
    identityDispatcher: async () => dispatcher ?? agent,
    managedIdentityToken: async (scope, identity) => {
      asked.push([scope, identity])
      return token
    },
  })
  return { source, asked, load: (signal = AbortSignal.timeout(20_000)) => source.load(signal) }
}

async function reasonOf (t: { notMatch (found: unknown, pattern: RegExp): unknown }, work: Promise<unknown>): Promise<string> {
  const error = await work.then(() => undefined, (error: Error) => error)
  t.notMatch(inspect(error), /sEcReT|tOkEn/)
  return error?.message ?? 'none'
}

t.test('a certificate is read as the managed identity, from a PFX or PEM', async t => {
  for (const value of [pfx, `${made.key}\n${made.cert}`]) {
    const vault = await startKeyVault(t, { value: () => value })
    const { load, asked } = sourceOf(t, { keyVaultUrl: vault.origin })

    t.match(await load(), { thumbprint })
    t.strictSame(asked, [['https://vault.azure.net/.default', {}]])
    t.strictSame(vault.requests.map(({ headers: { authorization } }) => authorization), [undefined, 'Bearer tOkEn'])
  }
})

t.test('ManagedIdentityClientId says which identity reads it', async t => {
  const vault = await startKeyVault(t, { value: () => pfx })
  const { load, asked } = sourceOf(t, { keyVaultUrl: vault.origin, managedIdentityClientId: 'guid' })
  await load()

  t.strictSame(asked, [['https://vault.azure.net/.default', { userAssignedClientId: 'guid' }]])
})

t.test('a vault of Azure is asked over the dispatcher, and only where its challenge is of its own domain', async t => {
  for (const [resource, expected] of [['https://vault.azure.net', thumbprint], ['https://graph.microsoft.com', undefined]] as const) {
    const mock = new MockAgent()
    t.teardown(() => mock.close())
    mock.disableNetConnect()
    const pool = mock.get('https://contoso.vault.azure.net')
    const path = (path: string) => path.startsWith('/secrets/todo')
    pool.intercept({ path }).reply(401, '', { headers: { 'www-authenticate': `Bearer authorization="https://login.microsoftonline.com/t", resource="${resource}"` } })
    pool.intercept({ path }).reply(200, secretOf(pfx), { headers: { 'content-type': 'application/json' } })
    const { load, asked } = sourceOf(t, { keyVaultUrl: 'https://contoso.vault.azure.net/' }, mock)

    if (expected === undefined) t.match(await reasonOf(t, load()), /gave no answer that can be read/)
    else t.match(await load(), { thumbprint })
    t.equal(asked.length, expected === undefined ? 0 : 1)
  }
})

t.test('what the vault refuses is a reason that says what to do', async t => {
  for (const [status, message] of [
    [403, /^Key Vault refused to give the certificate \(403\): give the managed identity the role "Key Vault Secrets User"/],
    [401, /refused to give the certificate \(401\)/],
    [400, /^Key Vault answered 400: /],
    [302, /^Key Vault answered 302: /],
  ] as const) {
    const vault = await startKeyVault(t, { value: () => pfx, instead: response => response.writeHead(status, { location: 'http://127.0.0.1:1/', 'content-type': 'application/json' }).end('{"error":{"message":"sEcReT"}}') !== undefined })
    t.match(await reasonOf(t, sourceOf(t, { keyVaultUrl: vault.origin }).load()), message)
  }
  const vault = await startKeyVault(t, { value: () => pfx })
  await t.rejects(sourceOf(t, { keyVaultUrl: vault.origin, keyVaultCertificateName: 'other' }).load(), { message: 'Key Vault has no such certificate: correct KeyVaultCertificateName', cause: { message: `the certificate "other" in ${vault.origin}` } })
})

t.test('an answer that is broken or hostile is a reason', async t => {
  for (const [what, body, type, message] of [
    ['no JSON', '<html>sEcReT</html>', 'text/html', /gave no answer that can be read/],
    ['broken JSON', '{"value":"sEcReT', 'application/json', /gave no answer that can be read/],
    ['a list', '[]', 'application/json', /gave no answer that can be read/],
    ['null', 'null', 'application/json', /gave no answer that can be read/],
    ['nothing', '', 'application/json', /gave no answer that can be read/],
    ['no id', '{"value":"sEcReT"}', 'application/json', /gave no answer that can be read/],
    ['a number', secretOf(7), 'application/json', /is empty/],
    ['an empty value', secretOf(''), 'application/json', /is empty: the certificate's policy must make the key exportable$/],
    ['garbage', secretOf('sEcReT'), 'application/json', /^there is no certificate in it/],
    ['garbage like a PFX', secretOf(Buffer.concat([Buffer.from([0x30, 0x82, 0x01, 0x00]), Buffer.alloc(256, 'sEcReT')]).toString('base64')), 'application/json', /^it is/],
    ['a certificate without its key', secretOf(made.cert), 'application/json', /in Key Vault the certificate's policy must make the key exportable$/],
    ['too much', secretOf('sEcReT'.repeat(300_000)), 'application/json', /gave no answer that can be read/],
  ] as const) {
    const vault = await startKeyVault(t, { value: () => pfx, instead: response => response.writeHead(200, { 'content-type': type }).end(body) !== undefined })
    t.match(await reasonOf(t, sourceOf(t, { keyVaultUrl: vault.origin }).load()), message, what)
  }
})

t.test('a vault that is not there, or breaks off, is a reason', async t => {
  const vault = await startKeyVault(t, { value: () => pfx, instead: response => response.destroy() !== undefined })

  t.match(await reasonOf(t, sourceOf(t, { keyVaultUrl: vault.origin }).load()), /^Key Vault gave no answer that can be read \(UND_ERR_SOCKET\): check the network$/)
})

t.test('one that never answers is given up with the signal', async t => {
  const vault = await startKeyVault(t, { value: () => pfx, instead: () => true })
  const controller = new AbortController()
  const loading = sourceOf(t, { keyVaultUrl: vault.origin }).load(controller.signal)
  while (vault.requests.length < 2) await new Promise(resolve => setImmediate(resolve))
  controller.abort(new Error('time is up'))

  t.match(await reasonOf(t, loading), /gave no answer that can be read/)
})

t.test('without a token of the managed identity, its error is the reason', async t => {
  const vault = await startKeyVault(t, { value: () => pfx })
  const source = new KeyVaultCertificate({ keyVaultUrl: vault.origin, keyVaultCertificateName: 'todo' }, {
    identityDispatcher: async () => new Agent(),
    managedIdentityToken: async () => { throw new TokenAcquisitionError('No token: the managed identity endpoint could not be reached', { retryable: true }) },
  })

  await t.rejects(source.load(AbortSignal.timeout(20_000)), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', message: 'No token: the managed identity endpoint could not be reached' })
})

t.test('without its client installed, the package is named', async t => {
  const services = { identityDispatcher: async () => new Agent(), managedIdentityToken: async () => token }
  const source = new KeyVaultCertificate({ keyVaultUrl: 'https://contoso.vault.azure.net/', keyVaultCertificateName: 'todo' }, services, async () => { throw new Error('Cannot find package') })

  await t.rejects(source.load(AbortSignal.timeout(20_000)), { message: 'the package @azure/keyvault-secrets could not be loaded: npm install @azure/keyvault-secrets' })
})
