import t from 'tap'
import { CompactEncrypt } from 'jose'
import { readCertificate, type Certificate } from '../../../lib/credentials/certificate.ts'
import { TokenDecryption } from '../../../lib/inbound/token-decryption.ts'
import { makeCertificate, type MadeCertificate } from '../../fixtures/certificate.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'
import { loggerOf, type Line } from '../../fixtures/identity-web.ts'

const MINUTE = 60_000
const [one, two, short] = await Promise.all([makeCertificate(), makeCertificate(), makeCertificate({ notAfter: new Date(Date.now() - 30_000) })])

async function encrypt (made: MadeCertificate, header: object = {}, text = 'the token'): Promise<string> {
  return new CompactEncrypt(new TextEncoder().encode(text)).setProtectedHeader({ alg: 'RSA-OAEP', enc: 'A128CBC-HS256', ...header }).encrypt(made.certificate.publicKey)
}

/** @param given certificates, each of which may be replaced or fail */
function decryptionOf (given: (MadeCertificate | Error)[]) {
  const clock = new FakeClock()
  const lines: Line[] = []
  const loads = { count: 0 }
  const closing = new AbortController()
  const load = async (index: number): Promise<Certificate> => {
    loads.count++
    const made = given[index]!
    if (made instanceof Error) throw made
    return readCertificate(Buffer.from(made.cert + made.key))
  }
  const credentials = async () => given.map((_, index) => ({ where: `credential ${index}`, source: { load: () => load(index) } as never }))
  return { given, clock, lines, loads, closing, decryption: new TokenDecryption({ credentials, clock, logger: loggerOf(lines), closing: closing.signal }) }
}

t.test('a token is opened by the certificate that it is encrypted for, one of several, whatever names it', async t => {
  const { decryption, loads, lines } = decryptionOf([one, two])
  for (const made of [one, two]) {
    const x5t = Buffer.from(made.thumbprintSha1, 'hex').toString('base64url')
    for (const header of [{}, { kid: made.thumbprintSha1 }, { kid: made.thumbprintSha1.toUpperCase() }, { kid: x5t }, { x5t }, { kid: Buffer.from(made.thumbprintSha256, 'hex').toString('base64url') }, { kid: 'unknown' }, { alg: 'RSA-OAEP-256', enc: 'A256GCM' }, { enc: 'A256CBC-HS512' }, { enc: 'A128GCM' }]) {
      t.equal(await decryption.decrypt(await encrypt(made, header)), 'the token', JSON.stringify(header))
    }
  }
  t.equal(loads.count, 2)
  t.strictSame(lines, [])
})

t.test('a token for another certificate is refused, and so is any where none is expected', async t => {
  const { decryption } = decryptionOf([one])
  await t.rejects(decryption.decrypt(await encrypt(two)), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401, message: /it is encrypted for another certificate/ })
  await t.rejects(decryption.decrypt(await encrypt(two, { kid: one.thumbprintSha1 })), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401, message: /it is encrypted for another certificate/ })
  await t.rejects(decryptionOf([]).decryption.decrypt(await encrypt(one)), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401, message: /which the API does not expect/ })
})

t.test('what a hostile header asks for is not done', async t => {
  const { decryption } = decryptionOf([one])
  const [, ...rest] = (await encrypt(one)).split('.')
  const headerOf = (header: unknown) => Buffer.from(typeof header === 'string' ? header : JSON.stringify(header)).toString('base64url')
  const good = { alg: 'RSA-OAEP', enc: 'A128CBC-HS256' }
  for (const header of [{ ...good, alg: 'RSA1_5' }, { ...good, alg: 'dir' }, { ...good, alg: 'none' }, { ...good, alg: 'PBES2-HS256+A128KW', p2c: 1_000_000_000, p2s: 'AA' }, { ...good, alg: 'A128KW' }, { ...good, alg: 'ECDH-ES', epk: {} }, { ...good, enc: 'A192GCM' }, { ...good, enc: 'none' }, { ...good, zip: 'DEF' }, { ...good, crit: ['x'], x: 1 }, { ...good, jku: 'http://127.0.0.1:1/' }, { ...good, kid: 7, x5t: {} }, { ...good, kid: '__proto__' }, {}]) {
    await t.rejects(decryption.decrypt([headerOf(header), ...rest].join('.')), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401 }, JSON.stringify(header))
  }
  for (const header of ['', 'no JSON', '[]', '7', 'null', '['.repeat(5_000)]) await t.rejects(decryption.decrypt([headerOf(header), ...rest].join('.')), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401 }, header.slice(0, 9))
  for (const token of ['a.b.c.d.e', '....', 'x'.repeat(16_000)]) await t.rejects(decryption.decrypt(token), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401 }, token.slice(0, 9))
})

t.test('a token that was compressed before it was encrypted is not opened: a few bytes could hold a lot', async t => {
  const { decryption } = decryptionOf([one])
  for (const text of ['the token', 'x'.repeat(200_000)]) await t.rejects(decryption.decrypt(await encrypt(one, { zip: 'DEF' }, text)), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401 }, `${text.length} characters`)
})

t.test('a certificate that replaces the one at hand is found with the first token that needs it, a minute after the last look', async t => {
  const { decryption, given, clock, loads } = decryptionOf([one])
  t.equal(await decryption.decrypt(await encrypt(one)), 'the token')
  given[0] = two
  const token = await encrypt(two)
  await t.rejects(decryption.decrypt(token), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401 })
  await clock.advance(MINUTE - 1)
  await t.rejects(decryption.decrypt(token), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401 })
  t.equal(loads.count, 1)
  await clock.advance(1)
  t.equal(await decryption.decrypt(token), 'the token')
  t.equal(loads.count, 2)
})

t.test('a flood of tokens that nothing opens loads certificates once a minute', async t => {
  const { decryption, clock, loads } = decryptionOf([one])
  const token = await encrypt(two)
  for (let minute = 1; minute <= 3; minute++) {
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => decryption.decrypt(token)))
    t.ok(outcomes.every(({ status }) => status === 'rejected'))
    t.equal(loads.count, minute)
    await clock.advance(MINUTE)
  }
})

t.test('a certificate that cannot be loaded, or has ended, is told of, and does not keep the others from being used', async t => {
  const { decryption, given, clock, lines } = decryptionOf([new Error('no such file'), short, one])
  t.equal(await decryption.decrypt(await encrypt(one)), 'the token')
  t.match(lines, [{ level: 'warn', fields: { credential: 'credential 0', err: { message: 'no such file' } } }, { level: 'warn', fields: { credential: 'credential 1', err: { message: /the certificate ended/ } } }])
  await t.rejects(decryption.decrypt(await encrypt(two)), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 503, wwwAuthenticate: undefined, cause: { message: 'a token decryption credential could not be loaded' } }, 'it may be for the one that is missing')

  given[0] = two
  await clock.advance(MINUTE)
  t.equal(await decryption.decrypt(await encrypt(two)), 'the token')
})

t.test('what fails because the application closes is not told of', async t => {
  const { decryption, lines, closing } = decryptionOf([new Error('aborted')])
  closing.abort()
  await t.rejects(decryption.decrypt(await encrypt(one)), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 503 })
  t.strictSame(lines, [])
})

t.test('where the credentials themselves cannot be had, the next token tries again', async t => {
  const clock = new FakeClock()
  let isBroken = true
  const certificate = await readCertificate(Buffer.from(one.cert + one.key))
  const decryption = new TokenDecryption({
    credentials: async () => {
      if (isBroken) throw new Error('broken')
      return [{ where: 'x', source: { load: async () => certificate } as never }]
    },
    clock,
    logger: loggerOf([]),
    closing: new AbortController().signal,
  })
  await t.rejects(decryption.decrypt(await encrypt(one)), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 503 })
  isBroken = false
  await clock.advance(MINUTE)
  t.equal(await decryption.decrypt(await encrypt(one)), 'the token')
})
