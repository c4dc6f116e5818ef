import t from 'tap'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CompactEncrypt } from 'jose'
import { makeCertificate, type MadeCertificate } from '../fixtures/certificate.ts'
import { buildProtected, openDoor } from '../fixtures/callers.ts'
import { startAuthority } from '../fixtures/authority.ts'
import { useEnvironment } from '../fixtures/environment.ts'
import { startKeyVault } from '../fixtures/key-vault.ts'
import { startEntraEmulator } from '../../plugins/testing.ts'

const [one, two] = await Promise.all([makeCertificate(), makeCertificate()])
const seal = (token: string, { certificate, thumbprintSha1 }: MadeCertificate = one) =>
  new CompactEncrypt(new TextEncoder().encode(token)).setProtectedHeader({ alg: 'RSA-OAEP', enc: 'A128CBC-HS256', cty: 'JWT', kid: thumbprintSha1.toUpperCase() }).encrypt(certificate.publicKey)

t.test('an encrypted token is opened with a certificate of the section, and held to the same rules as any other', async t => {
  const authority = await startAuthority(t)
  const folder = t.testdir({ 'one.pem': one.cert + one.key })
  const TokenDecryptionCredentials = [
    { SourceType: 'Path', CertificateDiskPath: join(folder, 'missing.pem'), Skip: true },
    { SourceType: 'Path', CertificateDiskPath: join(folder, 'one.pem') },
    { SourceType: 'Base64Encoded', Base64EncodedValue: Buffer.from(two.cert + two.key).toString('base64') },
  ]
  const { call } = await buildProtected(t, { authority, section: { TokenDecryptionCredentials } })
  for (const made of [one, two]) t.match(await call(await seal(await authority.sign(), made)), { status: 200, body: { user: { scp: 'Todo.Read Todo.Write' } } })
  t.equal((await call(await authority.sign())).status, 200, 'plain ones are taken as before')

  for (const inner of [await authority.sign(authority.user({ aud: 'else' })), await authority.sign(authority.user({ exp: 1 })), `${await authority.sign()}x`, 'no token', JSON.stringify(authority.user()), await seal(await authority.sign())]) {
    t.match(await call(await seal(inner)), { status: 401, challenge: /invalid_token/ }, inner.slice(0, 10))
  }
  t.match(await call(await seal(await authority.sign(), await makeCertificate())), { status: 401, challenge: /it is encrypted for another certificate/ })
})

t.test('a certificate that is in a Key Vault is fetched with a managed identity', async t => {
  const entra = await startEntraEmulator()
  t.teardown(() => entra.close())
  useEnvironment(t, entra.env)
  entra.registerManagedIdentity()
  const vault = await startKeyVault(t, { value: () => one.cert + one.key })
  const { authority, enter, lines } = await openDoor(t, { section: { TokenDecryptionCredentials: [{ SourceType: 'KeyVault', KeyVaultUrl: vault.origin, KeyVaultCertificateName: 'todo' }] } })
  t.match(await enter(await seal(await authority.sign())), { kind: 'user' })
  t.notOk(lines.some(({ level }) => level === 'warn'))
})

t.test('an encrypted token is opened and verified once, and what is exchanged for the user is what was in it', async t => {
  const { authority, enter } = await openDoor(t, { section: { TokenDecryptionCredentials: [{ SourceType: 'Base64Encoded', Base64EncodedValue: Buffer.from(one.cert + one.key).toString('base64') }] } })
  const inner = await authority.sign()
  const token = await seal(inner)
  const caller = await enter(token)
  t.equal(await enter(token), caller)
  t.equal(caller.assertion, inner)
  t.match(caller.assertionHash, /^[0-9a-f]{64}$/)
  t.equal(caller.assertionHash, (await enter(inner)).assertionHash)
})

t.test('without a credential for it an encrypted token is refused, and one that is missing is looked for a minute later', async t => {
  const authority = await startAuthority(t)
  const none = await openDoor(t, { authority })
  await t.rejects(none.enter(await seal(await authority.sign())), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401, message: /which the API does not expect/ })

  const folder = t.testdir({})
  const path = join(folder, 'late.pem')
  const { enter, clock, lines } = await openDoor(t, { authority, section: { TokenDecryptionCredentials: [{ SourceType: 'Path', CertificateDiskPath: path }] } })
  const token = await seal(await authority.sign())
  await t.rejects(enter(token), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 503, wwwAuthenticate: undefined })
  t.match(lines, [{ level: 'warn', fields: { credential: 'AzureAd.TokenDecryptionCredentials[0]' } }])
  writeFileSync(path, one.cert + one.key)
  await t.rejects(enter(token), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 503 })
  await clock.advance(60_000)
  await t.resolves(enter(token))
})
