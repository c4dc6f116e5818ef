import t from 'tap'
import { createHmac } from 'node:crypto'
import { CompactSign, exportJWK, exportSPKI, generateKeyPair } from 'jose'
import { buildProtected } from '../fixtures/callers.ts'
import { startRawServer } from '../fixtures/raw-server.ts'
import { makeCertificate } from '../fixtures/certificate.ts'
import { otherTenantId } from '../fixtures/users.ts'

const encode = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const invalid = { status: 401, challenge: /^Bearer error="invalid_token"/, body: { code: 'FST_IDW_UNAUTHORIZED' } }

t.test('only RS256 is taken: a MAC made with the public key, no algorithm, and other spellings and algorithms are refused', async t => {
  const { authority, call } = await buildProtected(t)
  const { kid, publicKey } = authority.keys[0]!
  const pem = await exportSPKI(publicKey)
  const claims = encode(authority.user())
  t.equal((await call(await authority.sign())).status, 200)

  for (const alg of ['HS256', 'hs256', 'HS512']) {
    for (const secret of [pem, `\n${pem}`, ` ${pem}`, pem.trimEnd(), JSON.stringify(await exportJWK(publicKey))]) {
      const signed = `${encode({ alg, typ: 'JWT', kid })}.${claims}`
      t.match(await call(`${signed}.${createHmac(alg === 'HS512' ? 'sha512' : 'sha256', secret).update(signed).digest('base64url')}`), invalid, alg)
    }
  }
  const signature = (await authority.sign()).split('.')[2]!
  for (const alg of ['none', 'nOnE', 'None', 'NONE', '', 'rs256', 'RS256 ', null, undefined, 7, ['RS256'], {}]) {
    for (const end of [signature, 'AA']) t.match(await call(`${encode({ alg, typ: 'JWT', kid })}.${claims}.${end}`), invalid, String(alg))
    t.match(await call(`${encode({ alg, typ: 'JWT', kid })}.${claims}.`), { status: 401 }, 'without a signature')
  }

  const pss = await generateKeyPair('PS256', { extractable: true })
  const bytes = new TextEncoder().encode(JSON.stringify(authority.user()))
  t.match(await call(await new CompactSign(bytes).setProtectedHeader({ alg: 'PS256', kid }).sign(pss.privateKey)), invalid)
})

t.test('the header of a token leads nowhere: jku, x5u, jwk and x5c are not looked at', async t => {
  const evil = await startRawServer(t, (_request, response) => response.end('{}'))
  const { authority, call } = await buildProtected(t)
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true })
  const { certificate } = await makeCertificate()
  const own = { ...authority.keys[0]!, privateKey }
  const jwk = await exportJWK(publicKey)

  for (const header of [{ jku: `${evil.origin}/keys` }, { x5u: `${evil.origin}/cert` }, { jwk }, { x5c: [certificate.raw.toString('base64')] }, { jku: `${evil.origin}/keys`, x5u: `${evil.origin}/cert`, jwk }]) {
    t.match(await call(await authority.sign(authority.user(), header, own)), invalid, Object.keys(header).join())
    t.match(await call(await authority.sign(authority.user(), { ...header, kid: 'mine' }, own)), invalid, 'under a name of its own')
  }
  t.equal(evil.requests.length, 0)
  t.equal((await call(await authority.sign(authority.user(), { jku: `${evil.origin}/keys` }))).status, 200, 'they are not looked at where the signature holds either')
  t.equal(evil.requests.length, 0)
})

t.test('what a token says is critical, and is not known, refuses it', async t => {
  const { authority, call } = await buildProtected(t)
  const { kid, privateKey } = authority.keys[0]!
  for (const crit of [['exp'], ['x'], [], 'x', [7], ['b64']]) {
    const header = encode({ alg: 'RS256', kid, crit, exp: 1, x: 1, b64: true })
    const signed = `${header}.${encode(authority.user())}`
    const key = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', privateKey, Buffer.from(signed))
    t.match(await call(`${signed}.${Buffer.from(key).toString('base64url')}`), Array.isArray(crit) && crit[0] === 'b64' ? { status: 200 } : invalid, JSON.stringify(crit))
  }
  const header = encode({ alg: 'RS256', kid, crit: ['b64'], b64: false })
  const signed = `${header}.${encode(authority.user())}`
  const signature = Buffer.from(await crypto.subtle.sign('RSASSA-PKCS1-v1_5', privateKey, Buffer.from(signed))).toString('base64url')
  t.match(await call(`${signed}.${signature}`), invalid, 'a payload that is not encoded is no JWT')
})

t.test('a token names its key, by text, and one that the authority publishes for signatures', async t => {
  const { authority, call } = await buildProtected(t)
  const { privateKey } = await authority.addKey({ kid: 'enc', more: { use: 'enc' } })
  for (const kid of [undefined, null, 7, '', ['key-1'], {}, 'key-2', '__proto__', 'constructor', 'KEY-1']) t.match(await call(await authority.sign(authority.user(), { kid })), invalid, String(kid))
  t.match(await call(await authority.sign(authority.user(), { kid: 'enc' }, { ...authority.keys[0]!, privateKey })), invalid)
})

t.test('a key that is published for another tenant, or for nobody, does not sign for this one', async t => {
  const { authority, call } = await buildProtected(t, { inbound: { tenants: 'any' as never } })
  const user = authority.user()
  t.equal((await call(await authority.sign(user))).status, 200)

  await authority.addKey({ kid: 'b', issuer: authority.issuer(otherTenantId) })
  await authority.addKey({ kid: 'nobody', issuer: null })
  await authority.addKey({ kid: 'else', issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0' })
  const app = await buildProtected(t, { authority, inbound: { tenants: 'any' as never } })
  for (const key of authority.keys.slice(1)) t.match(await app.call(await authority.sign(user, {}, key)), { ...invalid, body: { message: /its key is of another issuer/ } }, key.kid)
  t.equal((await app.call(await authority.sign(authority.user({ tid: otherTenantId, iss: authority.issuer(otherTenantId) }), {}, authority.keys[1]))).status, 200)
})

t.test('a token whose signature does not hold is refused, whatever it says', async t => {
  const { authority, call } = await buildProtected(t)
  const good = await authority.sign()
  const [header, , signature] = good.split('.') as [string, string, string]
  t.match(await call(`${header}.${encode(authority.user({ oid: 'somebody else' }))}.${signature}`), invalid)
  t.match(await call(`${header}.${good.split('.')[1]}.${signature.slice(0, -8)}AAAAAAAA`), invalid)
  t.match(await call(`${encode({ alg: 'RS256', kid: authority.keys[0]!.kid })}.${good.split('.')[1]}.${signature}`), invalid)
  t.equal((await call(good)).status, 200)
})
