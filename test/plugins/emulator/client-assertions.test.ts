import t from 'tap'
import { randomUUID } from 'node:crypto'
import { ConfidentialClientApplication } from '@azure/msal-node'
import { decodeJwt, exportJWK, importPKCS8, importX509, SignJWT, UnsecuredJWT } from 'jose'
import { startEntraEmulator } from '../../../plugins/testing.ts'
import { makeCertificate, type MadeCertificate } from '../../fixtures/certificate.ts'
import { apiClientId, registerDirectory, scope, tenantId } from '../../fixtures/todo-api.ts'

interface Tap { teardown (work: () => unknown): unknown }
type Certificates = NonNullable<Parameters<Awaited<ReturnType<typeof startEntraEmulator>>['registerApp']>[0]['certificates']>

const clientId = 'abcdef77-7777-4777-8777-777777777777'
const jwtBearer = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const now = Date.UTC(2026, 10, 24, 12)
const seconds = now / 1000
const life = { notBefore: new Date(now - 3_600_000), notAfter: new Date(now + 3_600_000) }

const certificate = await makeCertificate(life)
const other = await makeCertificate(life)
const authority = await makeCertificate({ ...life, subject: 'CN=Contoso CA' })
const issued = await makeCertificate({ ...life, subject: 'CN=app.contoso.com', issuer: authority })
const expired = await makeCertificate({ notBefore: new Date(now - 2000), notAfter: new Date(now - 1000) })
const early = await makeCertificate({ notBefore: new Date(now + 1000), notAfter: new Date(now + 2000) })

const x5t = (hex: string) => Buffer.from(hex, 'hex').toString('base64url')
const x5c = (...certificates: MadeCertificate[]) => certificates.map(({ certificate }) => certificate.raw.toString('base64'))

async function start (t: Tap, certificates: Certificates = [certificate.cert]) {
  const entra = await startEntraEmulator({ now: () => now })
  t.teardown(() => entra.close())
  registerDirectory(entra)
  entra.registerApp({ clientId, tenantId, certificates })
  const endpoint = `${entra.instance}${tenantId}/oauth2/v2.0/token`

  const sign = async ({ signer = certificate, alg = 'PS256', header = { 'x5t#S256': x5t(signer.thumbprintSha256) }, claims = {} }: { signer?: MadeCertificate, alg?: string, header?: object, claims?: Record<string, unknown> } = {}) =>
    new SignJWT({ aud: endpoint, iss: clientId, sub: clientId, exp: seconds + 600, nbf: seconds, jti: randomUUID(), ...claims })
      .setProtectedHeader({ alg, ...header })
      .sign(await importPKCS8(signer.key, alg))
  const send = async (assertion: string, form: Record<string, string> = {}, url = endpoint) => {
    const response = await fetch(url, { method: 'POST', body: new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId, scope, client_assertion_type: jwtBearer, client_assertion: assertion, ...form }) })
    return { status: response.status, body: await response.json() as Record<string, unknown> }
  }
  const ask = async (options: Parameters<typeof sign>[0] = {}) => send(await sign(options))
  return { entra, endpoint, sign, send, ask }
}

t.test('an assertion signed with a registered certificate proves the client, and azpacr says so', async t => {
  const { entra, sign, send, ask } = await start(t)

  const { status, body } = await ask()
  t.equal(status, 200)
  t.match(decodeJwt(String(body['access_token'])), { aud: apiClientId, azp: clientId, azpacr: '2' })

  t.match(await ask({ alg: 'RS256', header: { x5t: x5t(certificate.thumbprintSha1) } }), { status: 200 }, 'SHA-1 too')
  t.match(await ask({ claims: { aud: entra.issuer(tenantId) } }), { status: 200 }, 'the issuer is an audience too')
  t.match(await send(await sign(), {}, `${entra.instance}${tenantId}/oauth2/v2.0/token/`), { status: 200 }, 'and a slash does not count')
  t.match(await ask({ claims: { iss: clientId.toUpperCase(), sub: clientId.toUpperCase() } }), { status: 200 }, 'letter case does not count')
  t.match(await ask({ claims: { exp: seconds - 299, nbf: seconds - 899 } }), { status: 200 }, 'nor do five minutes')
  t.match(await ask({ claims: { nbf: seconds + 299 } }), { status: 200 })
})

t.test('a certificate may be registered as text, as bytes, and by either thumbprint', async t => {
  for (const registered of [certificate.cert, Buffer.from(certificate.cert), certificate.key + certificate.cert] as const) {
    t.match(await (await start(t, [other.cert, registered])).ask(), { status: 200 })
  }
  const { thumbprintSha1, thumbprintSha256 } = certificate
  for (const thumbprint of [thumbprintSha1, thumbprintSha256.toUpperCase(), x5t(thumbprintSha256)]) {
    const { ask } = await start(t, [{ thumbprint }])
    t.match(await ask({ header: { 'x5t#S256': x5t(thumbprintSha256), x5c: x5c(certificate) } }), { status: 200 })
    t.match(await ask(), { status: 401, body: { error_codes: [700027] } }, 'without x5c there is no key')
    t.match(await ask({ signer: other, header: { 'x5t#S256': x5t(thumbprintSha256), x5c: x5c(other) } }), { status: 401, body: { error_codes: [700027] } })
    t.match(await ask({ signer: other, header: { 'x5t#S256': x5t(other.thumbprintSha256), x5c: x5c(other) } }), { status: 401, body: { error_codes: [700027] } })
  }
})

t.test('with subject name and issuer, any certificate of the name that the issuer signed is taken, when it is sent along', async t => {
  const { ask } = await start(t, [{ subjectName: 'app.contoso.com', issuer: authority.cert }])
  const askWith = (signer: MadeCertificate) => ask({ signer, header: { 'x5t#S256': x5t(signer.thumbprintSha256), x5c: x5c(signer, authority) } })

  t.match(await askWith(issued), { status: 200 })
  t.match(await askWith(await makeCertificate({ ...life, subject: 'CN=app.contoso.com', issuer: authority })), { status: 200 }, 'a renewed one')
  t.match(await ask({ signer: issued }), { status: 401, body: { error_codes: [700027] } }, 'not without x5c')
  const pretender = await makeCertificate({ ...life, subject: 'CN=Contoso CA' })
  for (const signer of [
    await makeCertificate({ ...life, subject: 'CN=other.contoso.com', issuer: authority }),
    await makeCertificate({ ...life, subject: 'O=app.contoso.com', issuer: authority }),
    await makeCertificate({ ...life, subject: 'CN=app.contoso.com', issuer: pretender }),
    await makeCertificate({ ...life, subject: 'CN=app.contoso.com' }),
  ]) t.match(await askWith(signer), { status: 401, body: { error_codes: [700027] } })
})

const refusals: [string, number, Parameters<Awaited<ReturnType<typeof start>>['ask']>[0]][] = [
  ['of a certificate that is not registered', 700027, { signer: other }],
  ['with a signature of another key', 700027, { signer: other, header: { 'x5t#S256': x5t(certificate.thumbprintSha256) } }],
  ['of an expired certificate', 1000502, { signer: expired }],
  ['of a certificate that is not valid yet', 1000502, { signer: early }],
  ['for another audience', 700023, { claims: { aud: 'https://login.microsoftonline.com/common' } }],
  ['of another subject', 700021, { claims: { sub: apiClientId } }],
  ['of another client', 700021, { claims: { iss: apiClientId, sub: apiClientId } }],
  ['that has expired', 700024, { claims: { exp: seconds - 300 } }],
  ['that is not valid yet', 700024, { claims: { nbf: seconds + 301 } }],
  ['without exp', 50027, { claims: { exp: undefined } }],
  ['without jti', 50027, { claims: { jti: undefined } }],
  ['with an empty jti', 50027, { claims: { jti: '' } }],
  ['of another algorithm', 50027, { alg: 'RS384' }],
  ['without a thumbprint', 50027, { header: {} }],
  ['with a certificate that is none', 700027, { signer: other, header: { 'x5t#S256': x5t(other.thumbprintSha256), x5c: ['AAAA'] } }],
]
const refusing = await start(t, [certificate.cert, expired.cert, early.cert])
for (const [what, aadsts, options] of refusals) {
  t.test(`an assertion ${what} is refused with AADSTS${aadsts}`, async t => {
    const { ask } = refusing
    t.match(await ask(options), { status: 401, body: { error: 'invalid_client', error_codes: [aadsts], error_description: new RegExp(`^AADSTS${aadsts}: `) } })
  })
}

t.test('what is no JWT, or not said to be one, is refused', async t => {
  const { sign, send } = await start(t)
  t.match(await send('x.y'), { status: 401, body: { error_codes: [50027] } })
  t.match(await send(await sign(), { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer' }), { status: 400, body: { error: 'invalid_request', error_codes: [9002313] } })
  t.match(await send(await sign(), { client_assertion_type: '' }), { status: 400, body: { error_codes: [900144] } })
  t.match(await send(''), { status: 401, body: { error_codes: [7000218] } })
})

t.test('an assertion that nobody signed, or that anybody could, is refused', async t => {
  const { endpoint, send } = await start(t)
  const claims = { aud: endpoint, iss: clientId, sub: clientId, exp: seconds + 600, jti: randomUUID() }
  const header = { 'x5t#S256': x5t(certificate.thumbprintSha256) }
  t.match(await send(new UnsecuredJWT(claims).encode()), { status: 401, body: { error_codes: [50027] } }, 'none')
  t.match(await send(await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', ...header }).sign(Buffer.from(certificate.cert))), { status: 401, body: { error_codes: [50027] } }, 'with what is public as a secret')
  const jwk = await exportJWK(await importX509(other.cert, 'PS256'))
  t.match(await send(await new SignJWT(claims).setProtectedHeader({ alg: 'PS256', jwk, ...header }).sign(await importPKCS8(other.key, 'PS256'))), { status: 401, body: { error_codes: [700027] } }, 'with a key of its own')
})

t.test('a revoked certificate is refused with AADSTS7000214, also where it is registered', async t => {
  for (const thumbprint of [certificate.thumbprintSha256, certificate.thumbprintSha1]) {
    const { ask } = await start(t, [certificate.cert, { thumbprint, revoked: true }])
    t.match(await ask({ header: { 'x5t#S256': x5t(certificate.thumbprintSha256), x5c: x5c(certificate) } }), { status: 401, body: { error_codes: [7000214] } })
  }
  const named = { 'x5t#S256': { 'x5t#S256': x5t(certificate.thumbprintSha256) }, x5t: { x5t: x5t(certificate.thumbprintSha1) } }
  for (const thumbprint of [certificate.thumbprintSha256, certificate.thumbprintSha1]) {
    const { ask } = await start(t, [certificate.cert, { thumbprint, revoked: true }])
    for (const [name, header] of Object.entries(named)) t.match(await ask({ header }), { status: 401, body: { error_codes: [7000214] } }, `by either thumbprint, whichever the assertion has: ${name}`)
  }
  t.match(await (await start(t, [{ thumbprint: certificate.thumbprintSha256, revoked: true }])).ask(), { status: 401, body: { error_codes: [7000214] } })
})

t.test('certificates can be replaced while it runs', async t => {
  const { entra, ask } = await start(t)
  t.match(await ask({ signer: other }), { status: 401 })

  const registration = entra.replaceCertificates({ clientId, certificates: [other.cert] })

  t.match(await ask({ signer: other }), { status: 200 })
  t.match(await ask(), { status: 401, body: { error_codes: [700027] } })
  t.ok(Object.isFrozen(registration))
  t.match(registration, { clientId, tenantId, certificates: { length: 1 } })
  entra.replaceCertificates({ tenantId, clientId, certificates: [certificate.cert] })
  t.match(await ask(), { status: 200 })
  t.throws(() => entra.replaceCertificates({ tenantId: apiClientId, clientId, certificates: [] }), { name: 'TypeError', message: /replaceCertificates: clientId: .* is not registered/ })
})

t.test('certificates that are not right are refused by name', async t => {
  const { entra } = await start(t)
  for (const [certificates, message] of [
    [['x'], /certificates\.0: expected a certificate, PEM/],
    [[{ thumbprint: 'x' }], /certificates\.0\.thumbprint: expected SHA-1 or SHA-256/],
    [[{ subjectName: 'x', issuer: certificate.key }], /certificates\.0\.issuer: expected a certificate, PEM/],
    [[1], /certificates\.0: expected a certificate \(PEM\), \{ thumbprint, revoked\? \} or \{ subjectName, issuer \}/],
  ] as const) t.throws(() => entra.registerApp({ clientId: apiClientId.replace('3', '9'), tenantId, certificates: certificates as never }), { name: 'TypeError', message })
})

t.test('what an assertion says is recorded, and nothing that could be used again', async t => {
  const { entra, sign, send } = await start(t)
  const assertion = await sign()
  await send(assertion)
  await send('x.y')

  t.match(entra.tokenRequests[0], { body: { client_assertion: '***' }, clientAssertion: { header: { alg: 'PS256', 'x5t#S256': x5t(certificate.thumbprintSha256) }, claims: { iss: clientId, jti: String } } })
  t.match(entra.tokenRequests[1], { clientAssertion: undefined })
  t.notMatch(JSON.stringify(entra.requests), assertion.split('.')[2]!)
  t.notMatch(JSON.stringify(entra.requests), assertion.split('.')[0]!)
})

t.test('a certificate can be refused as often as a test wants', async t => {
  const { entra, ask } = await start(t)
  entra.fail({ endpoint: 'token', status: 401, error: 'invalid_client', errorCodes: [700027], times: 2 })

  t.match([await ask(), await ask(), await ask()], [{ status: 401, body: { error: 'invalid_client', error_codes: [700027] } }, { status: 401 }, { status: 200 }])
})

t.test('MSAL proves itself with a certificate, by either thumbprint, and with the chain', async t => {
  const valid = await makeCertificate()
  const ca = await makeCertificate({ subject: 'CN=Contoso CA' })
  const leaf = await makeCertificate({ subject: 'CN=app.contoso.com', issuer: ca })
  for (const [registered, clientCertificate] of [
    [valid.cert, { thumbprintSha256: valid.thumbprintSha256, privateKey: valid.key }],
    [valid.cert, { thumbprint: valid.thumbprintSha1, privateKey: valid.key }],
    [{ thumbprint: valid.thumbprintSha1 }, { thumbprintSha256: valid.thumbprintSha256, privateKey: valid.key, x5c: valid.cert }],
    [{ subjectName: 'app.contoso.com', issuer: ca.cert }, { thumbprintSha256: leaf.thumbprintSha256, privateKey: leaf.key, x5c: leaf.cert + ca.cert }],
  ] as const) {
    const entra = await startEntraEmulator()
    t.teardown(() => entra.close())
    registerDirectory(entra)
    entra.registerApp({ clientId, tenantId, certificates: [registered] })
    const { host } = new URL(entra.instance)
    const app = new ConfidentialClientApplication({
      auth: {
        clientId,
        clientCertificate: { ...clientCertificate },
        authority: `https://${host}/${tenantId}`,
        knownAuthorities: [host],
        authorityMetadata: JSON.stringify(await (await fetch(`${entra.instance}${tenantId}/v2.0/.well-known/openid-configuration`)).json()),
      }
    })
    t.match(await app.acquireTokenByClientCredential({ scopes: [scope] }), { accessToken: /^eyJ/ })
  }
})
