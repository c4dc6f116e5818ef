import t from 'tap'
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import fastify from 'fastify'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, jwtVerify, SignJWT, type CryptoKey, type JWK } from 'jose'
import { request } from 'undici'
import { startEntraEmulator } from '../../../plugins/testing.ts'
import { selfSigned } from '../../fixtures/certificate.ts'
import { registerDirectory, scope, tenantId } from '../../fixtures/todo-api.ts'

interface Tap { teardown (work: () => unknown): unknown }
type Credential = Parameters<Awaited<ReturnType<typeof startEntraEmulator>>['registerApp']>[0]['federatedCredentials']

const clientId = '77777777-7777-4777-8777-777777777777'
const audience = 'api://AzureADTokenExchange'
const subject = 'repo:contoso/orders:ref:refs/heads/main'

async function start (t: Tap, options: Parameters<typeof startEntraEmulator>[0] = {}) {
  const entra = await startEntraEmulator(options)
  t.teardown(() => entra.close())
  const identities = registerDirectory(entra)
  return {
    entra,
    identities,
    trust: (federatedCredentials: Credential) => entra.registerApp({ clientId, tenantId, federatedCredentials }),
    ask: async (assertion: string, form: Record<string, string> = {}) => {
      const response = await fetch(`${entra.instance}${tenantId}/oauth2/v2.0/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId, scope, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: assertion, ...form }) })
      return { status: response.status, body: await response.json() as Record<string, unknown> }
    },
    exchangeToken: async (resource = audience) => {
      const response = await fetch(`${entra.env['IDENTITY_ENDPOINT']}?api-version=2019-08-01&resource=${resource}`, { headers: { 'X-IDENTITY-HEADER': entra.env['IDENTITY_HEADER']! } })
      return (await response.json() as { access_token: string }).access_token
    },
  }
}

/** An issuer of somebody else's, on loopback. */
async function startIssuer (t: Tap, { issuerOf = (url: string) => url, jwksUri = (url: string) => `${url}/keys` } = {}) {
  const keys: JWK[] = []
  const counts = { discovery: 0, keys: 0 }
  const status = { keys: 200 }
  let privateKey: CryptoKey
  let kid = ''
  const app = fastify()
  app.get('/.well-known/openid-configuration', async () => { counts.discovery++; return { issuer: issuerOf(url), jwks_uri: jwksUri(url) } })
  app.get('/keys', async (_request, reply) => { counts.keys++; return reply.code(status.keys).send({ keys }) })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const newKey = async () => {
    const pair = await generateKeyPair('RS256')
    kid = `key ${keys.length}`
    privateKey = pair.privateKey
    keys.push({ ...await exportJWK(pair.publicKey), kid })
  }
  await newKey()
  const sign = async (header = {}) => new SignJWT({ iss: url, sub: subject, aud: [audience], exp: Math.floor(Date.now() / 1000) + 60 }).setProtectedHeader({ alg: 'RS256', kid, ...header }).sign(privateKey)
  return { url, counts, status, keys, sign, newKey }
}

t.test('a managed identity proves an app', async t => {
  const { entra, identities: { systemAssigned }, trust, ask, exchangeToken } = await start(t)
  trust([{ issuer: entra.issuer(tenantId), subject: systemAssigned.objectId }])

  const assertion = await exchangeToken()
  const { status, body } = await ask(assertion)

  t.match(decodeJwt(assertion), { aud: audience, sub: systemAssigned.objectId, iss: entra.issuer(tenantId) })
  t.equal(status, 200)
  t.match(decodeJwt(String(body['access_token'])), { azp: clientId, azpacr: '2' })
})

t.test('every cloud has its audience for exchanged tokens, in any letter case', async t => {
  const { exchangeToken } = await start(t)
  for (const cloud of ['', 'USGov', 'China', 'France', 'Germany']) {
    t.equal(decodeJwt(await exchangeToken(audience + cloud)).aud, audience + cloud)
    t.equal(decodeJwt(await exchangeToken(`api://azureadtokenexchange${cloud}`)).aud, audience + cloud)
  }
})

t.test('a token of GitHub Actions, or of whoever is trusted, proves an app', async t => {
  const { entra, trust, ask } = await start(t)
  trust([{ issuer: 'https://token.actions.githubusercontent.com', subject }, { issuer: entra.federatedIssuer, subject: 'repo:contoso/stock:environment:production', audience: 'api://contoso' }, { issuer: entra.federatedIssuer, subject }])

  t.match(await ask(await entra.issueFederatedToken({ subject })), { status: 200 })
  t.match(await ask(await entra.issueFederatedToken({ subject: 'repo:contoso/stock:environment:production', audience: 'api://contoso' })), { status: 200 })
  t.match(decodeJwt(await entra.issueFederatedToken({ subject, lifetime: 300, claims: { repository: 'contoso/orders' } })), { iss: entra.federatedIssuer, sub: subject, aud: audience, repository: 'contoso/orders', jti: String })
  await t.rejects(entra.issueFederatedToken({} as never), { name: 'TypeError', message: /issueFederatedToken: subject/ })
})

t.test('issuer, audience and subject must match exactly, all three of one credential', async t => {
  const { entra, trust, ask, identities: { systemAssigned }, exchangeToken } = await start(t)
  trust([{ issuer: entra.federatedIssuer, subject }, { issuer: entra.federatedIssuer, subject: 'other', audience: 'api://other' }])
  const issue = (options: object = {}) => entra.issueFederatedToken({ subject, ...options })

  for (const [assertion, aadsts] of [
    [await exchangeToken(), 700211],
    [await issue({ audience: 'api://another' }), 700212],
    [await issue({ audience: audience.toLowerCase() }), 700212],
    [await issue({ subject: subject.toUpperCase() }), 700213],
    [await issue({ audience: 'api://other' }), 700213],
    [await issue({ subject: systemAssigned.objectId }), 700213],
  ] as const) t.match(await ask(assertion), { status: 401, body: { error: 'invalid_client', error_codes: [aadsts] } })
})

t.test('an app without federated credentials says so', async t => {
  const { entra, trust, ask } = await start(t)
  trust([])
  t.match(await ask(await entra.issueFederatedToken({ subject })), { status: 401, body: { error_codes: [70025] } })
})

t.test('a token that has expired is refused, five minutes late', async t => {
  let now = Date.UTC(2026, 10, 24)
  const { entra, trust, ask } = await start(t, { now: () => now })
  trust([{ issuer: entra.federatedIssuer, subject }])
  const assertion = await entra.issueFederatedToken({ subject, lifetime: 600 })

  now += 899_000
  t.match(await ask(assertion), { status: 200 })
  now += 1000
  t.match(await ask(assertion), { status: 401, body: { error_codes: [700024] } })
})

t.test('the keys of another issuer are fetched once, and again for a key that is not known yet', async t => {
  const { trust, ask } = await start(t)
  const issuer = await startIssuer(t)
  trust([{ issuer: issuer.url, subject }])

  t.match([await ask(await issuer.sign()), await ask(await issuer.sign())], [{ status: 200 }, { status: 200 }])
  t.strictSame(issuer.counts, { discovery: 1, keys: 1 })

  await issuer.newKey()
  t.match(await ask(await issuer.sign()), { status: 200 })
  t.strictSame(issuer.counts, { discovery: 1, keys: 2 })
})

t.test('a token that its issuer did not sign is refused', async t => {
  const { trust, ask } = await start(t)
  const issuer = await startIssuer(t)
  trust([{ issuer: issuer.url, subject }])

  t.match(await ask(await issuer.sign({ kid: 'unknown' })), { status: 401, body: { error_codes: [50013] } })
  const [header, claims, signature] = (await issuer.sign()).split('.') as [string, string, string]
  t.match(await ask(`${header}.${claims}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`), { status: 401, body: { error_codes: [50013] } })
  t.match(await ask(await new SignJWT({ iss: issuer.url, sub: subject, aud: audience }).setProtectedHeader({ alg: 'HS256' }).sign(new Uint8Array(32))), { status: 401, body: { error_codes: [50027] } })
})

t.test('an issuer whose keys cannot be had is AADSTS50166, and is asked again', async t => {
  const { entra, trust, ask } = await start(t)
  const away = `${entra.instance}federated/unknown`
  const liar = await startIssuer(t, { issuerOf: () => 'http://127.0.0.1/other' })
  const leading = await startIssuer(t, { jwksUri: () => 'https://keys.example/keys' })
  const broken = await startIssuer(t)
  broken.status.keys = 500
  trust([away, liar.url, leading.url, broken.url, 'https://token.actions.githubusercontent.com'].map(issuer => ({ issuer, subject })))
  const sign = async (issuer: string) => new SignJWT({ iss: issuer }).setProtectedHeader({ alg: 'RS256' }).sign((await generateKeyPair('RS256')).privateKey)

  t.match(await ask(await sign(away)), { status: 401, body: { error_codes: [50166] } })
  t.match(await ask(await sign('https://token.actions.githubusercontent.com')), { status: 401, body: { error_codes: [50166], error_description: /loopback addresses only/ } })
  t.match(await ask(await leading.sign()), { status: 401, body: { error_codes: [50166], error_description: /loopback addresses only/ } })
  t.match(await ask(await liar.sign()), { status: 401, body: { error_codes: [50166], error_description: /discovery document is of/ } })
  await ask(await liar.sign())
  t.equal(liar.counts.discovery, 2)
  t.match(await ask(await broken.sign()), { status: 401, body: { error_codes: [50166], error_description: /could not be read/ } })
})

t.test('a service account has its token in a file, with the variables that a pod gets', async t => {
  const { entra, trust, ask } = await start(t)
  const folder = t.testdir({})
  const account = await entra.registerServiceAccount({ namespace: 'shop', name: 'orders', file: join(folder, 'token'), clientId, tenantId })
  trust([{ issuer: account.issuer, subject: account.subject }])

  t.equal(account.subject, 'system:serviceaccount:shop:orders')
  t.strictSame(account.env, { AZURE_FEDERATED_TOKEN_FILE: account.file, AZURE_AUTHORITY_HOST: entra.instance, AZURE_CLIENT_ID: clientId, AZURE_TENANT_ID: tenantId })
  const token = readFileSync(account.file, 'utf8')
  t.match(decodeJwt(token), { iss: account.issuer, sub: account.subject, aud: audience, 'kubernetes.io': { namespace: 'shop', serviceaccount: { name: 'orders' } } })
  t.match(await ask(token), { status: 200 })
  if (process.platform !== 'win32') t.equal(statSync(account.file).mode & 0o777, 0o600)

  const other = await entra.registerServiceAccount({ namespace: 'shop', name: 'stock', file: join(folder, 'other') })
  t.strictSame(Object.keys(other.env), ['AZURE_FEDERATED_TOKEN_FILE', 'AZURE_AUTHORITY_HOST'])
  t.not(other.issuer, account.issuer)
  t.match(await ask(readFileSync(other.file, 'utf8')), { status: 401, body: { error_codes: [700211] } })
  await t.rejects(entra.registerServiceAccount({ namespace: 'shop' } as never), { name: 'TypeError', message: /registerServiceAccount: name/ })
})

t.test('a service account\'s token is renewed in one step, with a new key if asked, and the old one stays good', async t => {
  const { entra, trust, ask } = await start(t)
  const folder = t.testdir({})
  const account = await entra.registerServiceAccount({ namespace: 'shop', name: 'orders', file: join(folder, 'token'), audience: 'api://contoso', lifetime: 600 })
  trust([{ issuer: account.issuer, subject: account.subject, audience: 'api://contoso' }])
  const read = () => readFileSync(account.file, 'utf8')

  const first = read()
  await account.rotate()
  const second = read()
  await account.rotate({ key: true })
  const third = read()

  t.not(decodeJwt(first).jti, decodeJwt(second).jti)
  t.equal(decodeProtectedHeader(first).kid, decodeProtectedHeader(second).kid)
  t.not(decodeProtectedHeader(second).kid, decodeProtectedHeader(third).kid)
  t.match([await ask(first), await ask(second), await ask(third)], [{ status: 200 }, { status: 200 }, { status: 200 }])
  t.strictSame(readdirSync(folder), ['token'])
})

t.test('everybody can verify the tokens by discovery', async t => {
  const { entra } = await start(t)
  const account = await entra.registerServiceAccount({ namespace: 'shop', name: 'orders', file: join(t.testdir({}), 'token') })
  for (const [issuer, token] of [[account.issuer, readFileSync(account.file, 'utf8')], [entra.federatedIssuer, await entra.issueFederatedToken({ subject })]] as const) {
    const configuration = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json() as { issuer: string, jwks_uri: string }
    t.equal(configuration.issuer, issuer)
    t.ok(await jwtVerify(token, createRemoteJWKSet(new URL(configuration.jwks_uri)), { issuer, audience }))
  }
  for (const path of ['.well-known/openid-configuration', 'openid/v1/jwks']) t.equal((await fetch(`${entra.instance}kubernetes/unknown/${path}`)).status, 404)
})

t.test('served over https, the emulator knows its own issuers all the same', async t => {
  const { key, cert } = await selfSigned()
  const { entra, trust } = await start(t, { tls: { key, cert } })
  trust([{ issuer: entra.federatedIssuer, subject }])

  const { statusCode, body } = await request(`${entra.instance}${tenantId}/oauth2/v2.0/token`, {
    method: 'POST',
    dispatcher: entra.identityDispatcher,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId, scope, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: await entra.issueFederatedToken({ subject }) }).toString(),
  })
  await body.dump()

  t.equal(statusCode, 200)
})
