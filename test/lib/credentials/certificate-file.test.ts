import t from 'tap'
import { chmodSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { CertificateFile } from '../../../lib/credentials/certificate-file.ts'
import { makeCertificate } from '../../fixtures/certificate.ts'
import { makePfx } from '../../fixtures/pfx.ts'

const made = await makeCertificate()
const pem = `${made.key}\n${made.cert}`
const pfx = makePfx({ key: made.key, certs: [made.cert], password: 'correct' })
const thumbprint = Buffer.from(made.thumbprintSha256, 'hex').toString('base64url')

t.test('PEM and PFX are told apart by what is in the file, not by its name', async t => {
  const folder = t.testdir({ 'a.pfx': pem, 'b.pem': pfx })

  t.match(await new CertificateFile(join(folder, 'a.pfx'), undefined).load(), { thumbprint })
  t.match(await new CertificateFile(join(folder, 'b.pem'), 'correct').load(), { thumbprint })
})

t.test('a path is relative to the working directory', async t => {
  const folder = t.testdir({ 'a.pem': pem })
  t.match(await new CertificateFile(relative(process.cwd(), join(folder, 'a.pem')), undefined).load(), { thumbprint })
})

t.test('a file that is no certificate is a reason, whose cause has the path', async t => {
  const folder = t.testdir({ folder: {}, large: Buffer.alloc(1024 * 1024 + 1), garbage: 'garbage', 'a.pfx': pfx })
  for (const [name, message] of [
    ['nowhere', 'there is no such file: correct CertificateDiskPath, which is relative to the working directory'],
    ['garbage/below', 'there is no such file: correct CertificateDiskPath, which is relative to the working directory'],
    ['folder', 'it is no file, but a folder or a device: give the path of the certificate itself'],
    ['large', 'it has more than 1 MiB, and is no certificate'],
    ['garbage', 'there is no certificate in it: give a PFX (PKCS #12), or a PEM file that holds the certificate and its private key'],
    ['a.pfx', 'the PFX does not open without a password: give CertificatePassword'],
  ] as const) await t.rejects(new CertificateFile(join(folder, name), undefined).load(), { message, cause: { message: `the file is ${join(folder, name)}` } }, name)
  await t.rejects(new CertificateFile(join(folder, 'x'.repeat(300)), undefined).load(), { message: /^the file cannot be read \(ENAMETOOLONG\)$/ })
})

t.test('a file that may not be read is a reason', { skip: process.getuid?.() === 0 || process.platform === 'win32' ? 'everybody may read here' : false }, async t => {
  const folder = t.testdir({ 'a.pem': pem })
  chmodSync(join(folder, 'a.pem'), 0)
  await t.rejects(new CertificateFile(join(folder, 'a.pem'), undefined).load(), { message: /^this process may not read the file/ })
})

t.test('it has changed when it is written, replaced, or gone', async t => {
  const folder = t.testdir({ 'a.pem': pem, 'b.pem': pem })
  const path = join(folder, 'a.pem')
  const file = new CertificateFile(path, undefined)
  const { hasChanged } = file.watch
  await file.load()
  t.equal(await hasChanged(), false)

  for (const [what, change] of [
    ['another time', () => utimesSync(path, 1, 1)],
    ['another size', () => { writeFileSync(path, `${readFileSync(path, 'utf8')}\n`); utimesSync(path, 1, 1) }],
    ['another file of the same time and size', () => { writeFileSync(join(folder, 'c.pem'), readFileSync(path)); utimesSync(join(folder, 'c.pem'), 1, 1); renameSync(join(folder, 'c.pem'), path) }],
  ] as const) {
    change()
    t.equal(await hasChanged(), true, what)
    await file.load()
    t.equal(await hasChanged(), false)
  }
  rmSync(path)
  t.equal(await hasChanged(), true)
})
