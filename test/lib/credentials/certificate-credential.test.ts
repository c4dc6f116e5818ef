import t from 'tap'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeProtectedHeader } from 'jose'
import type { Certificate } from '../../../lib/credentials/certificate.ts'
import { readCertificate } from '../../../lib/credentials/certificate.ts'
import { CertificateCredential } from '../../../lib/credentials/certificate-credential.ts'
import { CertificateFile } from '../../../lib/credentials/certificate-file.ts'
import type { CertificateSource } from '../../../lib/credentials/certificate-source.ts'
import type { ClientAuthentication } from '../../../lib/credentials/client-credential.ts'
import { makeCertificate, type CertificateOptions } from '../../fixtures/certificate.ts'
import { contextOf, credentialServices } from '../../fixtures/credentials.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'

const DAY = 86_400_000
const start = Date.now()
const certificateFor = async (days: number, from = -1) => {
  const { key, cert } = await makeCertificate({ notBefore: new Date(start + from * DAY), notAfter: new Date(start + days * DAY) })
  return readCertificate(Buffer.from(key + cert))
}
const first = await certificateFor(90)
const second = await certificateFor(90)

/** A source that gives what the test puts into it. */
class TestSource implements CertificateSource {
  isLocal = true
  loads = 0
  looks = 0
  changed = false
  next: Certificate | Error = first
  wait: Promise<unknown> | undefined
  watch: CertificateSource['watch'] = { interval: 1000, inBackground: false, hasChanged: async () => { this.looks++; return this.changed } }

  async load (): Promise<Certificate> {
    this.loads++
    await this.wait
    if (this.next instanceof Error) throw this.next
    return this.next
  }
}

function credentialOf (given: { source?: Partial<TestSource> } = {}) {
  const clock = new FakeClock(start)
  const closing = new AbortController()
  const services = credentialServices({ clock, closed: closing.signal })
  const source = Object.assign(new TestSource(), given.source)
  const credential = new CertificateCredential({ where: 'AzureAd.ClientCredentials[0]', source, sendX5C: false }, services)
  return { clock, source, credential, closing, lines: services.lines }
}

const thumbprintOf = (authentication: ClientAuthentication) => 'clientAssertion' in authentication ? decodeProtectedHeader(authentication.clientAssertion)['x5t#S256'] : undefined

t.test('the certificate is loaded once for all who wait, and kept', async t => {
  const { source, credential, lines } = credentialOf()
  const authentications = await Promise.all([1, 2, 3].map(() => credential.authenticate(contextOf())))
  await credential.authenticate(contextOf())

  t.equal(source.loads, 1)
  t.equal(source.looks, 0)
  t.strictSame(authentications.map(thumbprintOf), Array(3).fill(first.thumbprint))
  t.strictSame(lines, [])
})

t.test('what cannot be loaded is a reason, and is tried again with the next acquisition', async t => {
  const { source, credential } = credentialOf({ source: { next: new Error('no such file') } })
  await t.rejects(credential.authenticate(contextOf()), { message: 'no such file' })
  source.next = first

  t.equal(thumbprintOf(await credential.authenticate(contextOf())), first.thumbprint)
})

t.test('one that has ended or is not valid yet is not used', async t => {
  await t.rejects(credentialOf({ source: { next: await certificateFor(-0.5) } }).credential.authenticate(contextOf()), { message: /^the certificate ended at / })
  await t.rejects(credentialOf({ source: { next: await certificateFor(9, 1) } }).credential.authenticate(contextOf()), { message: /^the certificate is not valid before / })
})

t.test('a newer one is looked for once a second at most, and takes the place of the old one', async t => {
  const { clock, source, credential } = credentialOf()
  await credential.authenticate(contextOf())
  clock.tick(999)
  await credential.authenticate(contextOf())
  t.equal(source.looks, 0)

  Object.assign(source, { changed: true, next: second })
  clock.tick(1)
  const [renewed] = await Promise.all([credential.authenticate(contextOf()), credential.authenticate(contextOf())])
  t.equal(thumbprintOf(renewed), second.thumbprint)
  t.equal(source.looks, 1)
  t.equal(source.loads, 2)
  t.equal(thumbprintOf(await credential.authenticate(contextOf())), second.thumbprint)
})

t.test('nothing is loaded again while nothing has changed', async t => {
  const { clock, source, credential } = credentialOf()
  for (let count = 0; count < 4; count++) {
    await credential.authenticate(contextOf())
    clock.tick(1000)
  }

  t.equal(source.looks, 3)
  t.equal(source.loads, 1)
})

t.test('a newer one that cannot be used is told once, and does not replace what works', async t => {
  const { clock, source, credential, lines } = credentialOf()
  await credential.authenticate(contextOf())
  const failure = new Error('its private key belongs to another certificate')
  Object.assign(source, { changed: true, next: failure })
  for (let count = 0; count < 3; count++) {
    clock.tick(1000)
    t.equal(thumbprintOf(await credential.authenticate(contextOf())), first.thumbprint)
  }
  t.strictSame(lines, [{ level: 'warn', fields: { credential: 'AzureAd.ClientCredentials[0]', err: failure }, message: 'client certificate could not be loaded anew: the one at hand is used on' }])

  source.next = second
  clock.tick(1000)
  t.equal(thumbprintOf(await credential.authenticate(contextOf())), second.thumbprint, 'as soon as it can be')
  source.next = new Error('its private key belongs to another certificate')
  clock.tick(1000)
  await credential.authenticate(contextOf())
  t.equal(lines.length, 2, 'another failure is told again')
})

t.test('one that is watched in the background is loaded while the one at hand is used', async t => {
  const { clock, source, credential } = credentialOf()
  source.watch = { interval: 3_600_000, inBackground: true, hasChanged: async () => true }
  await credential.authenticate(contextOf())
  clock.tick(3_599_999)
  await credential.authenticate(contextOf())
  t.equal(source.loads, 1)

  let give = () => {}
  Object.assign(source, { next: second, wait: new Promise<void>(resolve => { give = resolve }) })
  clock.tick(1)
  t.equal(thumbprintOf(await credential.authenticate(contextOf())), first.thumbprint)
  t.equal(source.loads, 2)
  give()
  await clock.advance(0)
  t.equal(thumbprintOf(await credential.authenticate(contextOf())), second.thumbprint)
})

t.test('in the background, one that ends soon is asked for earlier, and one that failed a minute later', async t => {
  const { clock, source, credential } = credentialOf({ source: { next: await certificateFor(1 / 72) } })
  source.watch = { interval: 3_600_000, inBackground: true, hasChanged: async () => true }
  await credential.authenticate(contextOf())
  const left = 20 * 60_000
  clock.tick(left / 2)
  source.next = new Error('down')
  await credential.authenticate(contextOf())
  await clock.advance(0)
  t.equal(source.loads, 2)
  clock.tick(59_999)
  await credential.authenticate(contextOf())
  t.equal(source.loads, 2)
  clock.tick(1)
  await credential.authenticate(contextOf())
  t.equal(source.loads, 3)
})

t.test('when the one at hand has ended, acquisitions wait for another, and fail when there is none', async t => {
  const { clock, source, credential } = credentialOf({ source: { next: await certificateFor(1) } })
  source.watch = undefined
  await credential.authenticate(contextOf())
  clock.tick(DAY)

  await t.rejects(credential.authenticate(contextOf()), { message: /^the certificate ended at / })
  source.next = second
  t.equal(thumbprintOf(await credential.authenticate(contextOf())), second.thumbprint)
})

t.test('reload loads again what was refused, once for all who were refused, and what it signs then is new', async t => {
  const { source, credential } = credentialOf()
  const refused = await Promise.all([1, 2, 3].map(() => credential.authenticate(contextOf())))
  source.next = second
  await Promise.all(refused.map(authentication => credential.reload(authentication, contextOf())))
  t.equal(source.loads, 2)
  t.equal(thumbprintOf(await credential.authenticate(contextOf())), second.thumbprint)

  await credential.reload(refused[0]!, contextOf())
  t.equal(source.loads, 2, 'it was replaced already')
})

t.test('a certificate that is loaded anew and is the same signs a new assertion', async t => {
  const { credential } = credentialOf()
  const refused = await credential.authenticate(contextOf())
  await credential.reload(refused, contextOf())

  t.notSame(await credential.authenticate(contextOf()), refused)
})

t.test('what cannot be loaded anew is told, and what there is stays', async t => {
  const { source, credential, lines } = credentialOf()
  const refused = await credential.authenticate(contextOf())
  source.next = new Error('gone')

  await t.rejects(credential.reload(refused, contextOf()), { message: 'gone' })
  t.match(lines, [{ level: 'warn', fields: { err: { message: 'gone' } } }])
  t.equal(thumbprintOf(await credential.authenticate(contextOf())), first.thumbprint)
})

t.test('a certificate that ends within 30 days is told of once a day, with its days and its thumbprint', async t => {
  const next = await certificateFor(29.5)
  const { clock, credential, lines } = credentialOf({ source: { next } })
  for (let hours = 0; hours <= 24; hours += 6) {
    await credential.authenticate(contextOf())
    clock.tick(DAY / 4)
  }

  t.strictSame(lines.map(({ level, fields, message }) => ({ level, message, ...fields as object })), [29, 28].map(days => ({
    level: 'warn', message: 'client certificate ends soon: renew it', credential: 'AzureAd.ClientCredentials[0]', thumbprint: next.thumbprint, days, validTo: new Date(next.validTo).toISOString(),
  })))
})

t.test('a caller whose time is up goes alone, and the others get what they wait for', async t => {
  let give = () => {}
  const { credential } = credentialOf({ source: { wait: new Promise<void>(resolve => { give = resolve }) } })
  const controller = new AbortController()
  const [gone, waiting] = [credential.authenticate(contextOf({ signal: controller.signal })), credential.authenticate(contextOf())]
  controller.abort(new Error('time is up'))
  await t.rejects(gone, { message: 'time is up' })
  give()

  t.equal(thumbprintOf(await waiting), first.thumbprint)
})

t.test('loading has a deadline, and ends when the application closes', async t => {
  const { clock, credential } = credentialOf({ source: { wait: new Promise(() => {}) } })
  const late = credential.authenticate(contextOf())
  clock.tick(10_000)
  await t.rejects(late, { message: 'it took longer than 10000 ms' })

  const { credential: another, closing } = credentialOf({ source: { wait: new Promise(() => {}) } })
  const closed = another.authenticate(contextOf())
  closing.abort(new Error('the application is closing'))
  await t.rejects(closed, { message: 'the application is closing' })
})

t.test('a certificate on this machine can be loaded ahead, and one elsewhere cannot', async t => {
  const { source, credential } = credentialOf()
  await credential.loadAhead?.()
  await credential.authenticate(contextOf())
  t.equal(source.loads, 1)

  t.equal(credentialOf({ source: { isLocal: false } }).credential.loadAhead, undefined)
})

t.test('a look in the background that the closing of the application ends is not told', async t => {
  const { clock, source, credential, closing, lines } = credentialOf()
  source.watch = { interval: 3_600_000, inBackground: true, hasChanged: async () => true }
  await credential.authenticate(contextOf())
  source.wait = new Promise(() => {})
  clock.tick(3_600_000)
  await credential.authenticate(contextOf())
  closing.abort(new Error('the application is closing'))
  await clock.advance(0)

  t.strictSame(lines, [])
})

t.test('a newer file that is not valid yet is taken as soon as it is', async t => {
  const path = join(t.testdir({ 'a.pem': '' }), 'a.pem')
  const write = async (options: CertificateOptions) => {
    const made = await makeCertificate(options)
    writeFileSync(path, made.key + made.cert)
    return Buffer.from(made.thumbprintSha256, 'hex').toString('base64url')
  }
  const clock = new FakeClock(start)
  const old = await write({ notBefore: new Date(start - DAY), notAfter: new Date(start + 90 * DAY) })
  const credential = new CertificateCredential({ where: 'x', source: new CertificateFile(path, undefined), sendX5C: false }, credentialServices({ clock }))
  await credential.authenticate(contextOf())

  const ahead = await write({ notBefore: new Date(start + 60_000), notAfter: new Date(start + 91 * DAY) })
  clock.tick(1000)
  t.equal(thumbprintOf(await credential.authenticate(contextOf())), old)
  clock.tick(60_000)
  t.equal(thumbprintOf(await credential.authenticate(contextOf())), ahead)
})

t.test('a load that was given up does not replace what was loaded after it', async t => {
  let give = () => {}
  const { clock, source, credential } = credentialOf({ source: { wait: new Promise<void>(resolve => { give = resolve }) } })
  const late = credential.authenticate(contextOf())
  clock.tick(10_000)
  await t.rejects(late, { message: 'it took longer than 10000 ms' })
  Object.assign(source, { wait: undefined, next: second })
  await credential.authenticate(contextOf())

  source.next = first
  give()
  await clock.advance(0)
  t.equal(thumbprintOf(await credential.authenticate(contextOf())), second.thumbprint)
})
