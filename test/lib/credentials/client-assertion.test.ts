import t from 'tap'
import { generateKeyPairSync } from 'node:crypto'
import { decodeJwt, jwtVerify, type JWTVerifyResult } from 'jose'
import { readCertificate } from '../../../lib/credentials/certificate.ts'
import { ClientAssertions } from '../../../lib/credentials/client-assertion.ts'
import { makeCertificate } from '../../fixtures/certificate.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'

const ca = await makeCertificate({ subject: 'CN=Test CA', ca: true })
const made = await makeCertificate({ subject: 'CN=todo', issuer: ca })
const certificate = await readCertificate(Buffer.from([made.key, made.cert, ca.cert].join('\n')))
const wall = Date.UTC(2026, 10, 25) + 400
const context = { clientId: 'the client', tokenEndpoint: 'https://login.microsoftonline.com/t/oauth2/v2.0/token' }

function assertionsOf (clock = new FakeClock(wall), sendX5C = false): ClientAssertions {
  return new ClientAssertions(certificate, { clock, sendX5C })
}

function verify (assertion: string): Promise<JWTVerifyResult> {
  return jwtVerify(assertion, made.certificate.publicKey, { algorithms: ['PS256'], currentDate: new Date(wall), audience: context.tokenEndpoint, issuer: context.clientId, subject: context.clientId })
}

t.test('an assertion says who proves itself where, for ten minutes, and is signed with PS256', async t => {
  const { payload, protectedHeader } = await verify(await assertionsOf().for(context))

  t.strictSame(protectedHeader, { alg: 'PS256', typ: 'JWT', 'x5t#S256': Buffer.from(made.thumbprintSha256, 'hex').toString('base64url') })
  const iat = Math.floor(wall / 1000)
  t.match(payload, { iat, nbf: iat - 60, exp: iat + 600, jti: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/ })
  t.strictSame(Object.keys(payload).sort(), ['aud', 'exp', 'iat', 'iss', 'jti', 'nbf', 'sub'])
})

t.test('with SendX5C it carries the chain, the certificate itself first', async t => {
  const { protectedHeader } = await verify(await assertionsOf(new FakeClock(wall), true).for(context))

  t.strictSame(protectedHeader.x5c, [made, ca].map(({ certificate }) => certificate.raw.toString('base64')))
})

t.test('there is one for each token endpoint and client, and callers at the same time share it', async t => {
  const assertions = assertionsOf()
  const [first, second, otherTenant, otherClient] = await Promise.all([context, context, { ...context, tokenEndpoint: 'https://login.microsoftonline.com/u/oauth2/v2.0/token' }, { ...context, clientId: 'another' }].map(context => assertions.for(context)))

  t.equal(first, second)
  t.equal(new Set([first, otherTenant, otherClient]).size, 3)
  t.equal(decodeJwt(otherTenant!).aud, 'https://login.microsoftonline.com/u/oauth2/v2.0/token')
  t.equal(decodeJwt(otherClient!).iss, 'another')
})

t.test('it is made anew when half of its life is over', async t => {
  const clock = new FakeClock(wall)
  const assertions = assertionsOf(clock)
  const first = await assertions.for(context)
  clock.tick(299_999)
  t.equal(await assertions.for(context), first)
  clock.tick(1)
  const second = await assertions.for(context)

  t.not(second, first)
  t.not(decodeJwt(second).jti, decodeJwt(first).jti)
})

t.test('it is made anew when the clock was set, forth or back', async t => {
  const clock = new FakeClock(wall)
  const assertions = assertionsOf(clock)
  const first = await assertions.for(context)
  clock.setWall(wall - 1000)
  const back = await assertions.for(context)
  clock.setWall(wall + 3_600_000)
  const forth = await assertions.for(context)

  t.equal(new Set([first, back, forth]).size, 3)
  t.equal(decodeJwt(forth).iat, Math.floor(wall / 1000) + 3600)
})

t.test('it is made anew after half of its life although the wall clock has stood still', async t => {
  const clock = new FakeClock(wall)
  const assertions = assertionsOf(clock)
  const first = await assertions.for(context)
  clock.tick(300_000)
  clock.setWall(wall)

  t.not(await assertions.for(context), first)
})

t.test('one that could not be signed is not kept', async t => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const assertions = new ClientAssertions({ ...certificate, privateKey }, { clock: new FakeClock(wall), sendX5C: false })
  const signing = assertions.for(context)
  await t.rejects(signing)

  const again = assertions.for(context)
  t.not(again, signing)
  await t.rejects(again)
})
