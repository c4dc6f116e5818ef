import t from 'tap'
import { createDefaultHttpClient } from '@azure/core-rest-pipeline'
import { SecretClient, type SecretClientOptions } from '@azure/keyvault-secrets'
import { SignJWT, generateKeyPair } from 'jose'
import { TokenAcquirerFactory, tokenCredential } from '../../../lib/core.ts'
import { startEntraEmulator, type EntraEmulator } from '../../../plugins/testing.ts'
import { useEnvironment } from '../../fixtures/environment.ts'
import { clientId, secret, tenantId } from '../../fixtures/todo-api.ts'

interface Tap { teardown (work: () => unknown): unknown }

const scope = 'https://vault.azure.net/.default'
const vaultOptions: SecretClientOptions = { allowInsecureConnection: true, disableChallengeResourceVerification: true }

async function start (t: Tap, options: Parameters<typeof startEntraEmulator>[0] = {}) {
  const entra = await startEntraEmulator(options)
  t.teardown(() => entra.close())
  const client = entra.registerApp({ clientId, tenantId, secrets: [secret] })
  return { entra, client }
}

async function tokenOf (entra: EntraEmulator, tenant = tenantId, forScope = scope): Promise<string> {
  const response = await fetch(`${entra.instance}${tenant}/oauth2/v2.0/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId, client_secret: secret, scope: forScope }) })
  return (await response.json() as { access_token: string }).access_token
}

async function get (entra: EntraEmulator, path: string, token?: string) {
  const response = await fetch(`${entra.keyVault.url}secrets/${path}`, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } })
  return { status: response.status, challenge: response.headers.get('www-authenticate'), body: await response.json() as { value?: string, error?: { code: string, message: string } } }
}

t.test('Azure\'s SecretClient reads a certificate with its key, by a token of the product', async t => {
  const { entra } = await start(t)
  const identity = entra.registerManagedIdentity()
  useEnvironment(t, entra.env)
  const factory = TokenAcquirerFactory.getDefaultInstance({ config: {} })
  t.teardown(() => factory.close())
  const credential = tokenCredential(factory.authorizationHeaderProvider, { acquireTokenOptions: { managedIdentity: {} } })
  entra.keyVault.grant(identity)
  const version = entra.keyVault.setCertificate('my-cert', { pfx: Buffer.from('a PKCS #12'), notBefore: new Date('2026-01-01'), expiresOn: new Date('2027-01-01') })

  const sent: string[] = []
  const httpClient = createDefaultHttpClient()
  for (const [vaultUrl, options] of [
    [entra.keyVault.url, vaultOptions],
    [entra.keyVault.url.slice(0, -1), { ...vaultOptions, retryOptions: { maxRetries: 0 } }],
    [entra.keyVault.url, { ...vaultOptions, httpClient: { sendRequest: request => { sent.push(request.url); return httpClient.sendRequest(request) } } }],
  ] as [string, SecretClientOptions][]) {
    t.match(await new SecretClient(vaultUrl, credential, options).getSecret('my-cert'), {
      value: Buffer.from('a PKCS #12').toString('base64'),
      name: 'my-cert',
      properties: { version, contentType: 'application/x-pkcs12', enabled: true, managed: true, notBefore: new Date('2026-01-01'), expiresOn: new Date('2027-01-01'), vaultUrl: entra.keyVault.url.slice(0, -1), certificateKeyId: `${entra.keyVault.url}keys/my-cert/${version}` },
    })
  }
  t.equal(sent.length, 2, 'the challenge and the answer pass the HTTP client that is given')
  t.equal((await new SecretClient(entra.keyVault.url, credential, vaultOptions).getSecret('my-cert', { version })).properties.version, version)
  t.match(entra.requests.filter(({ endpoint }) => endpoint === 'key-vault').slice(0, 2), [{ path: '/secrets/my-cert/', status: 401 }, { headers: { authorization: '***' }, status: 200 }])
})

t.test('what SecretClient needs to take a vault on loopback is two options, and no other will do', async t => {
  const { entra } = await start(t)
  const credential = { getToken: async () => ({ token: await tokenOf(entra), expiresOnTimestamp: Date.now() + 3_600_000 }) }
  for (const [options, message] of [
    [{ disableChallengeResourceVerification: true }, /allowInsecureConnection is false/],
    [{ allowInsecureConnection: true }, /disableChallengeResourceVerification/],
  ] as [SecretClientOptions, RegExp][]) {
    await t.rejects(new SecretClient(entra.keyVault.url, credential, options).getSecret('my-cert'), { message })
  }
})

t.test('the newest version is given out, and each by its name, whatever the case', async t => {
  const { entra, client } = await start(t)
  entra.keyVault.grant(client)
  const token = await tokenOf(entra)
  const first = entra.keyVault.setCertificate('web', { pfx: 'Zmlyc3Q=' })
  const second = entra.keyVault.setCertificate('Web', { pem: '-----BEGIN', enabled: true })
  entra.keyVault.setCertificate('web-other', { pem: 'other', contentType: 'text/plain' })
  const ask = async (path: string) => (await get(entra, `${path}?api-version=7.6`, token)).body

  t.match(await ask('WEB'), { value: '-----BEGIN', contentType: 'application/x-pem-file', id: `${entra.keyVault.url}secrets/Web/${second}`, kid: `${entra.keyVault.url}keys/Web/${second}`, managed: true, attributes: { enabled: true, created: Number, updated: Number, nbf: undefined, exp: undefined } })
  t.match(await ask(`web/${first}`), { value: 'Zmlyc3Q=', contentType: 'application/x-pkcs12' })
  t.match(await ask('web-other/'), { value: 'other', contentType: 'text/plain' })
})

t.test('only a token that the vault\'s tenant issued for vaults is taken, while it lives, and from those who were granted', async t => {
  let now = Date.now()
  const other = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa'
  const { entra, client } = await start(t, { now: () => now })
  const foreign = entra.registerApp({ clientId, tenantId: other, secrets: [secret] })
  entra.keyVault.setCertificate('web', { pfx: 'cGZ4' })
  const ask = async (token?: string) => get(entra, 'web?api-version=7.6', token)
  const challenge = `Bearer authorization="${entra.instance}${tenantId}", resource="https://vault.azure.net"`
  const refused = { status: 401, challenge, body: { value: undefined, error: { code: 'Unauthorized' } } }
  const { privateKey } = await generateKeyPair('RS256')
  const token = await tokenOf(entra)
  const ofNobody = await new SignJWT({ oid: client.objectId, azp: clientId }).setProtectedHeader({ alg: 'RS256' }).setIssuer(entra.issuer(tenantId)).setAudience('https://vault.azure.net').setExpirationTime('1h').sign(privateKey)

  t.match(await ask(token), { status: 403, challenge: null, body: { value: undefined, error: { code: 'Forbidden', innererror: { code: 'ForbiddenByRbac' } } } }, 'it was not granted')
  entra.keyVault.grant({ clientId: foreign.clientId.toUpperCase() })
  t.match(await ask(token), { status: 200, body: { value: 'cGZ4' } }, 'by client id')

  t.match(await ask(), { ...refused, body: { error: { message: /^AKV10000: / } } })
  t.match(await ask(await tokenOf(entra, tenantId, 'https://graph.microsoft.com/.default')), { ...refused, body: { error: { message: /^AKV10022: Invalid audience. Expected https:\/\/vault.azure.net, found: https:\/\/graph.microsoft.com/ } } })
  t.match(await ask(await tokenOf(entra, other)), { ...refused, body: { error: { message: /^AKV10032: Invalid issuer/ } } })
  for (const wrong of ['none', ofNobody, `${token.slice(0, -8)}AAAAAAAA`]) t.match(await ask(wrong), { ...refused, body: { error: { message: /^Error validating token/ } } })

  await entra.rotateKeys()
  t.equal((await ask(token)).status, 200, 'a key that is still published')
  now += 3_600_000
  t.match(await ask(token), { ...refused, body: { error: { message: /^Error validating token: "exp" claim/ } } })

  const early = await start(t)
  t.equal((await get(early.entra, 'web')).challenge, challenge.replace(entra.instance, early.entra.instance))
  const empty = await startEntraEmulator()
  t.teardown(() => empty.close())
  t.match((await get(empty, 'web')).challenge, /^Bearer authorization="http:\/\/127\.0\.0\.1:\d+\/[0-9a-f-]{36}", resource=/, 'and a vault is in a tenant even where nobody is')
})

t.test('it refuses in Key Vault\'s words', async t => {
  const { entra, client } = await start(t)
  entra.keyVault.grant({ objectId: client.objectId })
  const token = await tokenOf(entra)
  entra.keyVault.setCertificate('off', { pfx: '', enabled: false })

  for (const [path, status, error] of [
    ['none?api-version=7.6', 404, { code: 'SecretNotFound', message: 'A secret with (name/id) none was not found in this key vault.' }],
    ['none/1?api-version=7.6', 404, { code: 'SecretNotFound', message: 'A secret with (name/id) none/1 was not found in this key vault.' }],
    ['off?api-version=7.6', 403, { code: 'Forbidden', message: 'Operation get is not allowed on a disabled secret.', innererror: { code: 'SecretDisabled' } }],
    ['off', 400, { code: 'BadParameter', message: 'api-version must be specified' }],
  ] as const) {
    t.match(await get(entra, path, token), { status, body: { error } })
  }
})

t.test('faults happen at the vault in its words, and never where tokens are asked for', async t => {
  const { entra } = await start(t)
  const met = async (fault: object) => {
    entra.fail({ endpoint: 'key-vault', ...fault })
    const { status, challenge, body: { error } } = await get(entra, 'web')
    return [status, challenge !== null, error?.code]
  }

  t.strictSame(await met({ status: 429 }), [429, false, 'Throttled'])
  t.strictSame(await met({ status: 403 }), [403, false, 'Forbidden'])
  t.strictSame(await met({ status: 401 }), [401, true, 'Unauthorized'])
  t.strictSame(await met({ status: 500 }), [500, false, 'InternalServerError'])
  t.strictSame(await met({ status: 409, error: 'Conflict' }), [409, false, 'Conflict'])
  entra.fail({ endpoint: 'key-vault', body: `{"value":"${'A'.repeat(2 ** 20)}"}` })
  t.equal((await get(entra, 'web')).body.value?.length, 2 ** 20)

  entra.fail({ status: 500 })
  t.equal((await get(entra, 'web')).status, 401)
  entra.fail({ endpoint: 'key-vault', status: 500, when: () => { throw new Error('a slip of the test') } })
  t.match(await get(entra, 'web'), { status: 500, body: { message: 'a slip of the test' } })
})

t.test('a vault can be as hostile to SecretClient as a test wants', async t => {
  const { entra, client } = await start(t)
  entra.keyVault.grant(client)
  entra.keyVault.setCertificate('web', { pfx: 'no PKCS #12', contentType: 'text/html' })
  const vault = new SecretClient(entra.keyVault.url, { getToken: async () => ({ token: await tokenOf(entra), expiresOnTimestamp: Date.now() + 3_600_000 }) }, { ...vaultOptions, retryOptions: { maxRetries: 0 } })
  t.match(await vault.getSecret('web'), { value: 'no PKCS #12', properties: { contentType: 'text/html' } })

  for (const [fault, error] of [
    [{ status: 500 }, { name: 'RestError', statusCode: 500, code: 'InternalServerError' }],
    [{ status: 429, retryAfter: 1 }, { name: 'RestError', statusCode: 429, code: 'Throttled' }],
    [{ status: 403 }, { name: 'RestError', statusCode: 403, code: 'Forbidden' }],
    [{ body: '<html>' }, { name: 'RestError', code: 'PARSE_ERROR' }],
    [{ body: '<html>', contentType: 'text/html' }, { name: 'TypeError' }],
    [{ body: '{}' }, { name: 'TypeError' }],
    [{ reset: true }, { name: 'RestError', code: 'ECONNRESET' }],
  ] as const) {
    entra.fail({ endpoint: 'key-vault', ...fault })
    await t.rejects(vault.getSecret('web'), error)
  }
  entra.fail({ endpoint: 'key-vault', hang: true })
  const { length } = entra.requests
  const controller = new AbortController()
  const asked = t.rejects(vault.getSecret('web', { abortSignal: controller.signal }), { name: 'AbortError' })
  while (entra.requests.length === length) await new Promise(resolve => setImmediate(resolve))
  controller.abort()
  await asked
  t.equal((await vault.getSecret('web')).name, 'web', 'and then all is well again')
})

t.test('arguments that are not right are refused by name', async t => {
  const { entra: { keyVault, fail } } = await start(t)
  for (const [call, message] of [
    [() => keyVault.setCertificate('a b', { pfx: '' }), /keyVault\.setCertificate: name: options: expected 1 to 127/],
    [() => keyVault.setCertificate('a', {}), /keyVault\.setCertificate: options: expected one of pfx and pem/],
    [() => keyVault.setCertificate('a', { pfx: '', pem: '' }), /expected one of pfx and pem/],
    [() => keyVault.setCertificate('a', { pfx: 1 } as never), /keyVault\.setCertificate: pfx: expected bytes, or base64/],
    [() => keyVault.grant({} as never), /keyVault\.grant: options: expected \{ objectId \} or \{ clientId \}/],
    [() => keyVault.grant({ clientId: 'x' }), /keyVault\.grant: options: expected .* a GUID/],
    [() => fail({ endpoint: 'vault', status: 500 } as never), /fail: endpoint: expected token, .* or key-vault/],
  ] as const) {
    t.throws(call, { name: 'TypeError', message })
  }
})
