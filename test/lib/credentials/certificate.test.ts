import t from 'tap'
import 'reflect-metadata'
import { createHash, createPrivateKey, generateKeyPairSync, webcrypto, X509Certificate } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { inspect } from 'node:util'
import { X509CertificateGenerator } from '@peculiar/x509'
import { readCertificate, requireValid } from '../../../lib/credentials/certificate.ts'
import { makeCertificate, type MadeCertificate } from '../../fixtures/certificate.ts'
import { legacyPfx, makePfx, opensslPfx, pfxThumbprint, plainPfx, unicodePfx, unicodePfxThumbprint } from '../../fixtures/pfx.ts'

const password = 'sEcReT pässword'
const ca = await makeCertificate({ subject: 'CN=Test CA', ca: true })
const made = await makeCertificate({ subject: 'CN=todo', issuer: ca })
const other = await makeCertificate({ subject: 'CN=other' })
const bytes = (...texts: string[]) => Buffer.from(texts.join('\n'))
const base64 = (text: string) => Buffer.from(text, 'base64')
const thumbprintOf = ({ thumbprintSha256 }: MadeCertificate) => Buffer.from(thumbprintSha256, 'hex').toString('base64url')
const pemOf = ({ key }: MadeCertificate, type: 'pkcs1' | 'pkcs8', cipher?: string) => createPrivateKey(key).export({ format: 'pem', type, ...cipher !== undefined && { cipher, passphrase: password } } as never) as string

async function reasonOf (work: Promise<unknown>): Promise<string> {
  const error = await work.then(() => undefined, (error: Error) => error)
  t.notMatch(inspect(error), /sEcReT|BEGIN/)
  return error?.message ?? 'none'
}

t.test('PEM is read with its key, whatever the form of the key and the order of the parts', async t => {
  for (const [what, text, secret] of [
    ['PKCS #8', bytes(made.key, made.cert)],
    ['certificate first', bytes(made.cert, made.key)],
    ['PKCS #1', bytes(pemOf(made, 'pkcs1'), made.cert)],
    ['encrypted PKCS #8', bytes(pemOf(made, 'pkcs8', 'aes-256-cbc'), made.cert), password],
    ['encrypted PKCS #1', bytes(pemOf(made, 'pkcs1', 'aes-128-cbc'), made.cert), password],
    ['a password that nothing needs', bytes(made.key, made.cert), password],
    ['lines of Windows, and text around', bytes('\ufeffBag Attributes', made.key, 'subject=CN=todo', made.cert.replaceAll('\n', '\r\n'))],
    ['another key before it', bytes(other.key, made.key, made.cert)],
  ] as const) {
    const certificate = await readCertificate(text, secret)
    t.equal(certificate.thumbprint, thumbprintOf(made), what)
    t.equal(certificate.privateKey.asymmetricKeyType, 'rsa')
    t.equal(certificate.chain.length, 1)
    t.equal(certificate.validFrom, Date.parse(made.certificate.validFrom))
    t.equal(certificate.validTo, Date.parse(made.certificate.validTo))
  }
})

t.test('the chain begins with the certificate of the key, and leaves out what does not belong to it', async t => {
  const { chain, thumbprint } = await readCertificate(bytes(ca.cert, other.cert, made.cert, made.key))

  t.equal(thumbprint, thumbprintOf(made))
  t.strictSame(chain.map(der => new X509Certificate(der).subject), ['CN=todo', 'CN=Test CA'])
})

t.test('a PFX is read, with AES or triple DES, with a password, an empty one or none, and with its chain', async t => {
  for (const legacy of [false, true]) {
    for (const [secret, given] of [[password, password], ['', undefined], ['', ''], [null, undefined], [null, '']] as const) {
      const { thumbprint, chain, privateKey } = await readCertificate(makePfx({ key: made.key, certs: [made.cert, ca.cert], password: secret, legacy }), given)
      t.equal(thumbprint, thumbprintOf(made), inspect({ legacy, secret, given }))
      t.equal(chain.length, 2)
      t.ok(made.certificate.checkPrivateKey(privateKey))
    }
  }
})

t.test('PFX files of OpenSSL are read as they are, with ciphers of today and of old', async t => {
  const { thumbprint, chain, certificate } = await readCertificate(base64(opensslPfx), 'correct')
  t.equal(thumbprint, pfxThumbprint)
  t.strictSame(chain.map(der => new X509Certificate(der).subject), ['CN=todo', 'CN=Test CA'])
  t.ok(certificate.verify(new X509Certificate(chain[1]!).publicKey), 'byte for byte as it was signed')

  t.equal((await readCertificate(base64(legacyPfx))).thumbprint, pfxThumbprint)
})

t.test('a password may have any characters', async t => {
  t.equal((await readCertificate(base64(unicodePfx), 'pä€w')).thumbprint, unicodePfxThumbprint)
  t.equal(await reasonOf(readCertificate(base64(unicodePfx), 'pä€x')), 'CertificatePassword does not open the PFX: correct it')
})

t.test('text that begins PEM over and over is refused at once', async t => {
  const start = performance.now()
  t.match(await reasonOf(readCertificate(bytes('-----BEGIN A-----'.repeat(60_000)))), /^there is no certificate in it/)
  t.ok(performance.now() - start < 2_000)
})

t.test('a certificate in a PFX stays byte for byte what it is, whoever signed it and how', async t => {
  const ecCa = await makeCertificate({ subject: 'CN=EC', ec: true, ca: true })
  for (const { key, cert } of [await makeCertificate({ issuer: ecCa }), await pss()]) {
    const { thumbprint } = await readCertificate(plainPfx({ keys: [key], certs: [cert] }))
    t.equal(thumbprint, createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url'))
  }
})

t.test('a PFX takes well under a tenth of a second', async t => {
  const pfx = base64(opensslPfx)
  const times: number[] = []
  for (let count = 0; count < 6; count++) {
    const start = performance.now()
    await readCertificate(pfx, 'correct')
    times.push(performance.now() - start)
  }
  const each = Math.min(...times)
  t.comment(`${each.toFixed(1)} ms`)
  t.ok(each < 100)
})

t.test('what is wrong is told, and what to do', async t => {
  const ec = await makeCertificate({ ec: true })
  const weak = await makeCertificate({ keySize: 1024 })
  const good = makePfx({ key: made.key, certs: [made.cert], password })
  const dsa = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }) as string
  for (const [what, text, secret, message] of [
    ['nothing', bytes(''), undefined, /^there is no certificate in it: give a PFX/],
    ['garbage', bytes('garbage'), undefined, /^there is no certificate in it/],
    ['a public key alone', bytes('-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----'), undefined, /^there is no certificate in it/],
    ['a key alone', bytes(made.key), undefined, /^there is no certificate in it/],
    ['a PEM certificate alone', bytes(made.cert), undefined, /not its private key: export it with the key; in Key Vault/],
    ['a DER certificate alone', made.certificate.raw, undefined, /not its private key/],
    ['a broken certificate', bytes('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', made.key), undefined, /a certificate in it that cannot be read/],
    ['a broken key', bytes('-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----', made.cert), undefined, /a private key in it that cannot be read/],
    ['no password', bytes(pemOf(made, 'pkcs8', 'aes-256-cbc'), made.cert), undefined, /is encrypted: give CertificatePassword$/],
    ['the wrong password', bytes(pemOf(made, 'pkcs8', 'aes-256-cbc'), made.cert), 'sEcReT wrong', /^CertificatePassword does not open its private key/],
    ['no password of a PFX', good, undefined, /does not open without a password: give CertificatePassword$/],
    ['an empty password of a PFX', good, '', /^CertificatePassword does not open the PFX/],
    ['the wrong password of a PFX', good, 'sEcReT wrong', /^CertificatePassword does not open the PFX: correct it$/],
    ['the wrong password of an old PFX', base64(legacyPfx), 'sEcReT', /^CertificatePassword does not open the PFX/],
    ['half of a PFX', good.subarray(0, good.length / 2), password, /it is cut off/],
    ['other ASN.1', Buffer.from([0x30, 0x03, 0x02, 0x01, 0x07]), undefined, /^it is no PFX that can be read/],
    ['a PFX without key', plainPfx({ keys: [], certs: [made.cert] }), undefined, /not its private key/],
    ['a PFX without certificate', plainPfx({ keys: [made.key], certs: [] }), undefined, /^there is no certificate in it/],
    ['the key of another', bytes(other.key, made.cert), undefined, /^its private key belongs to another certificate/],
    ['the key of another in a PFX', makePfx({ key: other.key, certs: [made.cert], password }), password, /^its private key belongs to another certificate/],
    ['EC', bytes(ec.key, ec.cert), undefined, /^its key is of the type ec, and Entra ID takes RSA only/],
    ['EC in a PFX', plainPfx({ keys: [ec.key], certs: [ec.cert] }), undefined, /^its key is of the type ec/],
    ['Ed25519', bytes(dsa, made.cert), undefined, /belongs to another certificate/],
    ['1,024 bits', bytes(weak.key, weak.cert), undefined, /^its RSA key has 1024 bits, and 2,048 are needed/],
  ] as [string, Buffer, string | undefined, RegExp][]) t.match(await reasonOf(readCertificate(text, secret)), message, what)
})

t.test('a PFX whose parts are broken is a reason', async t => {
  for (const broken of [{ ...made, key: '-----BEGIN PRIVATE KEY-----\nMAMCAQc=\n-----END PRIVATE KEY-----' }, { ...made, cert: '-----BEGIN CERTIFICATE-----\nMAMCAQc=\n-----END CERTIFICATE-----' }]) {
    t.match(await reasonOf(readCertificate(plainPfx({ keys: [broken.key], certs: [broken.cert] }))), /^there is a certificate or a key in it that cannot be read/)
  }
})

t.test('a certificate is used while it is valid, and not before or after', async t => {
  const certificate = await readCertificate(bytes(made.key, made.cert))
  const { validFrom, validTo } = certificate
  requireValid(certificate, validFrom)
  requireValid(certificate, validTo - 1)

  t.throws(() => requireValid(certificate, validFrom - 1), { message: `the certificate is not valid before ${new Date(validFrom).toISOString()}: wait until then, or correct the clock of this machine` })
  t.throws(() => requireValid(certificate, validTo), { message: `the certificate ended at ${new Date(validTo).toISOString()}: renew it, and upload the new one to the app registration` })
})

/** Signed with RSASSA-PSS, whose parameters can be written in more than one way. */
async function pss (): Promise<{ key: string, cert: string }> {
  const algorithm = { name: 'RSA-PSS', hash: 'SHA-256', saltLength: 32, publicExponent: new Uint8Array([1, 0, 1]), modulusLength: 2048 }
  const signer = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const publicKey = await webcrypto.subtle.importKey('spki', made.certificate.publicKey.export({ format: 'der', type: 'spki' }), { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, true, ['verify'])
  const cert = await X509CertificateGenerator.create({ subject: 'CN=pss', issuer: 'CN=pss', notBefore: new Date(), notAfter: new Date(Date.now() + 3_600_000), publicKey, signingKey: signer.privateKey, signingAlgorithm: algorithm }, webcrypto)
  return { key: made.key, cert: cert.toString('pem') }
}
