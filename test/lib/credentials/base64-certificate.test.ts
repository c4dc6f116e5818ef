import t from 'tap'
import { Base64Certificate } from '../../../lib/credentials/base64-certificate.ts'
import { makeCertificate } from '../../fixtures/certificate.ts'
import { makePfx } from '../../fixtures/pfx.ts'

const made = await makeCertificate()
const pem = `${made.key}\n${made.cert}`
const thumbprint = Buffer.from(made.thumbprintSha256, 'hex').toString('base64url')

t.test('a PFX as base64, PEM, PEM on one line and PEM as base64 are read', async t => {
  const pfx = makePfx({ key: made.key, certs: [made.cert], password: 'correct' }).toString('base64')
  for (const [what, value, password] of [
    ['PFX', pfx, 'correct'],
    ['PFX in lines', pfx.replace(/.{64}/g, '$&\r\n'), 'correct'],
    ['PEM', pem],
    ['PEM on one line', pem.replaceAll('\n', '\\n')],
    ['PEM as base64', Buffer.from(pem).toString('base64')],
  ] as const) t.match(await new Base64Certificate(value, password).load(), { thumbprint }, what)
})

t.test('what is no certificate is a reason that does not hold the value', async t => {
  for (const value of ['sEcReT', '{"sEcReT":1}', Buffer.from('sEcReT').toString('base64')]) {
    await t.rejects(new Base64Certificate(value, undefined).load(), { message: /^there is no certificate in it: [^s]/ })
  }
})
