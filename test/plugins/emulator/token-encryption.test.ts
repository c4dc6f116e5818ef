import t from 'tap'
import { compactDecrypt, decodeJwt, decodeProtectedHeader, importPKCS8 } from 'jose'
import { makeCertificate } from '../../fixtures/certificate.ts'
import { apiClientId, secret, tenantId } from '../../fixtures/todo-api.ts'
import { startUserWorld } from '../../fixtures/users.ts'

const api = 'api://sealed'

async function start (t: Parameters<typeof startUserWorld>[0]) {
  const world = await startUserWorld(t)
  const { key, cert, thumbprintSha1 } = await makeCertificate()
  world.entra.registerApp({ clientId: apiClientId, tenantId, secrets: [secret], exposes: api, tokenEncryptionCertificate: cert })
  const privateKey = await importPKCS8(key, 'RSA-OAEP')
  return { ...world, thumbprint: thumbprintSha1, innerOf: async (token: string) => Buffer.from((await compactDecrypt(token, privateKey)).plaintext).toString() }
}

t.test('the token of an API with an encryption certificate is a JWE for its key, around the signed token', async t => {
  const { entra, thumbprint, innerOf } = await start(t)

  const token = await entra.issueUserToken({ audience: api })

  t.strictSame(decodeProtectedHeader(token), { alg: 'RSA-OAEP', enc: 'A128CBC-HS256', kid: thumbprint.toUpperCase(), x5t: Buffer.from(thumbprint, 'hex').toString('base64url'), typ: 'JWT', cty: 'JWT' })
  t.match(decodeJwt(await innerOf(token)), { aud: apiClientId, idtyp: 'user' })
})

t.test('the inner token is exchanged on behalf of the user; nobody can exchange the outer one', async t => {
  const { entra, exchange, innerOf } = await start(t)
  const client = { client_id: apiClientId }
  const token = await entra.issueUserToken({ audience: api })

  t.match(await exchange(await innerOf(token), client), { status: 200 })
  t.match(await exchange(token, client), { status: 400, body: { error: 'invalid_request', error_codes: [50027] } })
})

t.test('every token for the API is encrypted, however it was acquired; others and ID tokens are not', async t => {
  const { entra, ask, exchange, innerOf } = await start(t)
  const onBehalfOf = await exchange(await entra.issueUserToken(), { scope: `${api}/.default` })
  const ofApp = await ask({ grant_type: 'client_credentials', scope: `${api}/.default` })

  for (const { body } of [onBehalfOf, ofApp]) t.match(decodeJwt(await innerOf(String(body['access_token']))), { aud: apiClientId })
  for (const token of [await entra.issueUserToken(), await entra.issueIdToken({ audience: api })]) t.match(decodeProtectedHeader(token), { alg: 'RS256' })
})

t.test('a certificate that cannot be encrypted for is refused by name', async t => {
  const { entra } = await startUserWorld(t)
  const { cert } = await makeCertificate({ ec: true })
  for (const [tokenEncryptionCertificate, message] of [[cert, /registerApp: tokenEncryptionCertificate: expected the certificate of an RSA key/], ['x', /registerApp: tokenEncryptionCertificate: expected a certificate, PEM/]] as const) {
    t.throws(() => entra.registerApp({ clientId: apiClientId, tenantId, tokenEncryptionCertificate }), { name: 'TypeError', message })
  }
})
