import t from 'tap'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { jwtVerify, type JWTVerifyResult } from 'jose'
import type { TokenAcquisitionError } from '../../lib/errors.ts'
import { startEntraEmulator } from '../../plugins/testing.ts'
import { build, logOf, startWorld } from '../fixtures/build.ts'
import { makeCertificate, type MadeCertificate } from '../fixtures/certificate.ts'
import { useEnvironment } from '../fixtures/environment.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { identityWebOf } from '../fixtures/identity-web.ts'
import { startKeyVault } from '../fixtures/key-vault.ts'
import { makePfx } from '../fixtures/pfx.ts'
import { answerJson, startRawServer } from '../fixtures/raw-server.ts'
import { apiClientId, appSettings, clientId, tenantId } from '../fixtures/todo-api.ts'

const HOUR = 3_600_000
const first = await makeCertificate({ subject: 'CN=first' })
const second = await makeCertificate({ subject: 'CN=second' })
const pemOf = ({ key, cert }: Pick<MadeCertificate, 'key' | 'cert'>) => `${key}\n${cert}\n`
const pfxOf = ({ key, cert }: MadeCertificate, password: string) => makePfx({ key, certs: [cert], password })
const thumbprintOf = ({ thumbprintSha256 }: MadeCertificate) => Buffer.from(thumbprintSha256, 'hex').toString('base64url')
const scope = 'api://todo/.default'

type Tap = Parameters<typeof startRawServer>[0]

interface Refusal {
  readonly status?: number
  /** What the error's name and numbers are; `undefined` for an answer without a body. */
  readonly body: { error: string, error_codes: number[] } | undefined
}

/** A token endpoint that verifies assertions with the certificates that it knows, and an API that wants its token. */
async function startEntra (t: Tap) {
  const state = { trusted: [first] as MadeCertificate[], refusals: [] as Refusal[], assertions: [] as JWTVerifyResult[], certificateRefusal: 700027, asked: 0, api: 0 }
  const server = await startRawServer(t, ({ url, headers, body }, response) => {
    if (url.startsWith('/api')) {
      state.api++
      return answerJson(response, headers.authorization === 'Bearer a token' ? 200 : 401, { called: true })
    }
    state.asked++
    const refusal = state.refusals.shift()
    if (refusal !== undefined) return refusal.body === undefined ? response.writeHead(refusal.status ?? 401).end() : answerJson(response, refusal.status ?? 401, { ...refusal.body, error_description: 'no' })
    verify(new URLSearchParams(body), `${server.origin}${new URL(url, server.origin).pathname}`).then(result => {
      state.assertions.push(result)
      answerJson(response, 200, { token_type: 'Bearer', access_token: 'a token', expires_in: 3599 })
    }, () => answerJson(response, 401, { error: 'invalid_client', error_codes: [state.certificateRefusal], error_description: `AADSTS${state.certificateRefusal}: the certificate is not registered` }))
  })
  async function verify (form: URLSearchParams, audience: string): Promise<JWTVerifyResult> {
    if (form.get('client_assertion_type') !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' || form.get('client_secret') !== null) throw new Error('no assertion')
    return Promise.any(state.trusted.map(({ certificate }) => jwtVerify(form.get('client_assertion') ?? '', certificate.publicKey, { algorithms: ['PS256'], typ: 'JWT', audience, issuer: clientId, subject: clientId, clockTolerance: 24 * 3600 })))
  }
  const config = (credentials: object | object[], more: object = {}) => ({
    AzureAd: { Instance: server.origin, TenantId: tenantId, ClientId: clientId, ClientCredentials: [credentials].flat(), ...more },
    MyWebApi: { BaseUrl: server.origin, RelativePath: 'api', RequestAppToken: true, Scopes: [scope] },
  })
  return { ...server, state, config }
}

const errorOf = (work: Promise<unknown>): Promise<TokenAcquisitionError | undefined> => work.then(() => undefined, (error: TokenAcquisitionError) => error)

t.test('a route calls an API with a certificate from a PEM file, a PFX file with a password, or a setting', async t => {
  const folder = t.testdir({ 'a.pem': pemOf(first), 'a.pfx': pfxOf(first, 'correct') })
  for (const credential of [
    { SourceType: 'Path', CertificateDiskPath: join(folder, 'a.pem') },
    { SourceType: 'Path', CertificateDiskPath: join(folder, 'a.pfx'), CertificatePassword: 'correct' },
    { SourceType: 'Base64Encoded', Base64EncodedValue: pfxOf(first, '').toString('base64') },
    { SourceType: 'Base64Encoded', Base64EncodedValue: pemOf(first) },
  ]) {
    const { state, config } = await startEntra(t)
    const { log, lines } = logOf()
    const app = await build(t, { config: config(credential) }, app => app.get('/', request => request.downstreamApi.getForApp('MyWebApi')), log)

    const responses = await Promise.all([1, 2, 3].map(() => app.inject('/')))

    t.strictSame(responses.map(response => response.json()), Array(3).fill({ called: true }))
    t.equal(state.asked, 1)
    t.match(state.assertions, [{ protectedHeader: { 'x5t#S256': thumbprintOf(first), x5c: undefined } }])
    t.match(lines.filter(({ level }) => Number(level) >= 40), [{ msg: 'client certificate ends soon: renew it', days: 0 }])
    t.notMatch(inspect(lines), /correct|BEGIN|eyJ/)
  }
})

t.test('with SendX5C the token request carries the chain', async t => {
  const ca = await makeCertificate({ subject: 'CN=Test CA', ca: true })
  const leaf = await makeCertificate({ subject: 'CN=leaf', issuer: ca })
  const { state, config } = await startEntra(t)
  state.trusted = [leaf]
  const app = await build(t, { config: config({ SourceType: 'Base64Encoded', Base64EncodedValue: ca.cert + pemOf(leaf) }, { SendX5C: true }) })
  await app.downstreamApi.getForApp('MyWebApi')

  t.strictSame(state.assertions[0]?.protectedHeader.x5c, [leaf, ca].map(({ certificate }) => certificate.raw.toString('base64')))
})

t.test('a certificate from Key Vault is read with a managed identity', async t => {
  const { state, config } = await startEntra(t)
  const emulator = await startEntraEmulator()
  t.teardown(() => emulator.close())
  emulator.registerManagedIdentity({ tenantId })
  useEnvironment(t, emulator.env)
  const vault = await startKeyVault(t, { value: () => pfxOf(first, '').toString('base64') })
  const app = await build(t, { config: config({ SourceType: 'KeyVault', KeyVaultUrl: vault.origin, KeyVaultCertificateName: 'todo' }) })
  t.equal(vault.requests.length, 0, 'the start asks nobody')

  t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), { called: true })
  await app.tokenAcquirer.getTokenForApp('api://other/.default')
  t.equal(state.assertions.length, 2)
  t.equal(vault.requests.length, 2)
  t.strictSame(emulator.tokenRequests.map(({ endpoint }) => endpoint), ['managed-identity'])
})

t.test('an application that closes does not wait for a Key Vault', async t => {
  const { config } = await startEntra(t)
  const vault = await startRawServer(t, () => {})
  const app = await build(t, { config: config({ SourceType: 'KeyVault', KeyVaultUrl: vault.origin, KeyVaultCertificateName: 'todo' }) })
  const calling = errorOf(app.tokenAcquirer.getTokenForApp(scope))
  while (vault.requests.length === 0) await new Promise(resolve => setImmediate(resolve))
  await app.close()

  t.match(await calling, { message: /clos/ })
})

t.test('the start tells of every certificate on this machine that cannot be used, and goes on', async t => {
  const ec = await makeCertificate({ ec: true })
  const weak = await makeCertificate({ keySize: 1024 })
  const ended = await makeCertificate({ notBefore: new Date(Date.now() - 2 * HOUR), notAfter: new Date(Date.now() - HOUR) })
  const early = await makeCertificate({ notBefore: new Date(Date.now() + HOUR), notAfter: new Date(Date.now() + 2 * HOUR) })
  const folder = t.testdir({ folder: {}, 'a.pfx': pfxOf(first, 'correct'), 'ended.pem': pemOf(ended), 'early.pem': pemOf(early), 'other.pem': first.key + second.cert, 'ec.pem': pemOf(ec), 'weak.pem': pemOf(weak), garbage: 'garbage' })
  for (const [name, reason, password] of [
    ['nowhere', /^there is no such file: /], ['folder', /it is no file, but a folder/], ['a.pfx', /CertificatePassword does not open the PFX/, 'sEcReT'], ['ended.pem', /^the certificate ended at /], ['early.pem', /^the certificate is not valid before /],
    ['other.pem', /its private key belongs to another certificate/], ['ec.pem', /Entra ID takes RSA only/], ['weak.pem', /1024 bits/], ['garbage', /there is no certificate in it/],
  ] as const) {
    const { config, state } = await startEntra(t)
    const { log, lines } = logOf()
    const credential = { SourceType: 'Path', CertificateDiskPath: join(folder, name), ...password !== undefined && { CertificatePassword: password } }
    const app = await build(t, { config: config([credential, { SourceType: 'Base64Encoded', Base64EncodedValue: 'AAAA', Skip: true }]) }, undefined, log)

    t.match(lines.filter(({ level }) => level === 40), [{ credential: 'AzureAd.ClientCredentials[0]', sourceType: 'Path', err: { message: reason }, msg: 'client credential cannot be used: it is tried again when a token is needed' }], name)
    const error = await errorOf(app.downstreamApi.getForApp('MyWebApi'))
    t.match(error, { code: 'FST_IDW_CREDENTIAL_NOT_LOADED', message: new RegExp(`^No client credential of the section "AzureAd" could be loaded:\n- AzureAd\\.ClientCredentials\\[0\\] \\(Path\\): .*${reason.source.replace('^', '')}.*\n- AzureAd\\.ClientCredentials\\[1\\] \\(Base64Encoded\\): it is skipped$`, 'm') }, name)
    t.notMatch(error?.message, folder, 'the message may be answered to anybody')
    t.notMatch(inspect({ error, lines }), /sEcReT|BEGIN/)
    t.equal(state.asked, 0)

    // What was not there may come.
    const good = join(folder, 'good.tmp')
    writeFileSync(good, pfxOf(first, password ?? ''))
    if (name === 'folder') rmSync(join(folder, name), { recursive: true })
    renameSync(good, join(folder, name))
    t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), { called: true })
  }
})

t.test('the start loads nothing that no API needs, and what routes need too', async t => {
  const { config } = await startEntra(t)
  const broken = { SourceType: 'Path', CertificateDiskPath: '/nowhere/a.pem' }
  const { log, lines } = logOf()
  const settings = config(broken)
  const managed = { ...settings, MyWebApi: { ...settings.MyWebApi, AcquireTokenOptions: { ManagedIdentity: {} } } }
  await build(t, { config: managed }, undefined, log)
  t.strictSame(lines.filter(({ level }) => level === 40), [])

  await build(t, { config: managed }, app => app.get('/', { config: { downstreamApi: { MyWebApi: { identity: 'client-credential' } } } }, () => ''), log)
  t.match(lines.filter(({ level }) => level === 40), [{ credential: 'AzureAd.ClientCredentials[0]' }])
})

t.test('a credential that cannot be used is followed by the next', async t => {
  const { state, config } = await startEntra(t)
  const app = await build(t, { config: config([{ SourceType: 'Path', CertificateDiskPath: '/nowhere/a.pem' }, { SourceType: 'Base64Encoded', Base64EncodedValue: pemOf(first) }]) })

  t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), { called: true })
  t.equal(state.assertions.length, 1)
})

t.test('a certificate that is replaced while 200 calls run, and is refused from then on, fails no call and costs one request more', async t => {
  const folder = t.testdir({ 'a.pem': pemOf(first), 'b.pem': pemOf(second) })
  const { state, config } = await startEntra(t)
  const identityWeb = identityWebOf(t, { config: config({ SourceType: 'Path', CertificateDiskPath: join(folder, 'a.pem') }) }, { clock: new FakeClock() })
  await identityWeb.loadCredentials([], 10_000)

  const calls = Array.from({ length: 200 }, () => identityWeb.downstreamApi.getForApp('MyWebApi'))
  renameSync(join(folder, 'b.pem'), join(folder, 'a.pem'))
  state.trusted = [second]

  t.strictSame(await Promise.all(calls), Array(200).fill({ called: true }))
  t.equal(state.asked, 2)
  t.equal(state.assertions[0]?.protectedHeader['x5t#S256'], thumbprintOf(second))
  t.strictSame(identityWeb.lines.filter(({ message }) => message !== 'client certificate ends soon: renew it' && message !== undefined && /certificate/.test(message)), [])
})

t.test('a certificate that is replaced in its file is noticed by the next acquisition, without a refusal', async t => {
  const folder = t.testdir({ 'a.pem': pemOf(first) })
  const { state, config } = await startEntra(t)
  const clock = new FakeClock()
  const identityWeb = identityWebOf(t, { config: config({ SourceType: 'Path', CertificateDiskPath: join(folder, 'a.pem') }) }, { clock })
  await identityWeb.tokenAcquirer.getTokenForApp(scope)
  writeFileSync(join(folder, 'a.pem'), pfxOf(second, ''))
  state.trusted = [second]
  clock.tick(1000)

  await identityWeb.tokenAcquirer.getTokenForApp('api://other/.default')
  t.equal(state.asked, 2)
})

t.test('each of the six refusals of a certificate is answered with one more try, and a second refusal is final', async t => {
  for (const code of [700027, 700024, 7000214, 1000502, 7000274, 7000277]) {
    const { state, config } = await startEntra(t)
    const app = await build(t, { config: config({ SourceType: 'Base64Encoded', Base64EncodedValue: pemOf(first) }) })
    state.refusals.push({ body: { error: 'invalid_client', error_codes: [code] } })
    await app.tokenAcquirer.getTokenForApp(scope)
    t.equal(state.asked, 2, `${code}`)

    for (let count = 0; count < 4; count++) state.refusals.push({ body: { error: 'invalid_client', error_codes: [code] } })
    t.match(await errorOf(app.tokenAcquirer.getTokenForApp('api://other/.default')), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', errorCodes: [code], oauthError: 'invalid_client', retryable: false })
    t.equal(state.asked, 4, 'a second refusal is final')
  }
})

t.test('no other refusal is asked again with the certificate loaded anew', async t => {
  for (const refusal of [
    ...[7000215, 700016, 7000222, 50011, 50012].map(code => ({ body: { error: 'invalid_client', error_codes: [code] } })),
    { body: { error: 'invalid_grant', error_codes: [700027] } },
    { status: 400, body: { error: 'unauthorized_client', error_codes: [700027] } },
    { body: { error: 'invalid_client', error_codes: [] } },
    { body: undefined },
  ]) {
    const { state, config } = await startEntra(t)
    const app = await build(t, { config: config({ SourceType: 'Base64Encoded', Base64EncodedValue: pemOf(first) }) })
    state.refusals.push(refusal)

    t.match(await errorOf(app.tokenAcquirer.getTokenForApp(scope)), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED' }, inspect(refusal))
    t.equal(state.asked, 1, inspect(refusal))
  }
})

t.test('where the certificate cannot be loaded anew, the refusal is the error, and the log tells why', async t => {
  const folder = t.testdir({ 'a.pem': pemOf(first) })
  const { state, config } = await startEntra(t)
  const { log, lines } = logOf()
  const app = await build(t, { config: config({ SourceType: 'Path', CertificateDiskPath: join(folder, 'a.pem') }) }, undefined, log)
  rmSync(join(folder, 'a.pem'))
  state.trusted = [second]

  t.match(await errorOf(app.tokenAcquirer.getTokenForApp(scope)), { errorCodes: [700027] })
  t.equal(state.asked, 1)
  t.match(lines.filter(({ level, msg }) => level === 40 && /anew/.test(String(msg))), [{ err: { message: `there is no such file: correct CertificateDiskPath, which is relative to the working directory: the file is ${join(folder, 'a.pem')}` } }])
})

t.test('a token that is cached is served while the credential is broken', async t => {
  const folder = t.testdir({ 'a.pem': pemOf(first) })
  const { state, config } = await startEntra(t)
  const app = await build(t, { config: config({ SourceType: 'Path', CertificateDiskPath: join(folder, 'a.pem') }) })
  await app.downstreamApi.getForApp('MyWebApi')
  rmSync(join(folder, 'a.pem'))
  mkdirSync(join(folder, 'a.pem'))
  state.trusted = []

  t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), { called: true })
  t.equal(state.asked, 1)
})

t.test('the emulator takes the assertion, and a certificate that is replaced there and in the file fails no call', async t => {
  const world = await startWorld(t)
  const folder = t.testdir({ 'a.pem': pemOf(first) })
  const app = { clientId: '66666666-6666-4666-8666-666666666666', tenantId }
  world.entra.registerApp({ ...app, certificates: [first.cert], appRoleAssignments: { [`api://${apiClientId}`]: ['Todo.Read'] } })
  const settings = appSettings(world.entra, world.todoApi.baseUrl)
  const config = { ...settings, AzureAd: { ...settings.AzureAd, ClientId: app.clientId, ClientCredentials: [{ SourceType: 'Path', CertificateDiskPath: join(folder, 'a.pem') }] } }
  const identityWeb = identityWebOf(t, { config }, { clock: new FakeClock() })

  t.match(await identityWeb.downstreamApi.getForApp('MyWebApi'), [{ id: 1 }])
  world.entra.replaceCertificates({ ...app, certificates: [second.cert] })
  writeFileSync(join(folder, 'a.pem'), pemOf(second))
  t.match(await identityWeb.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { forceRefresh: true } }), [{ id: 1 }])
  t.equal(world.entra.tokenRequests.length, 3)
})

t.test('a certificate that is renewed in Key Vault is noticed within the hour, without a refusal and without waiting for it', async t => {
  const { state, config } = await startEntra(t)
  const emulator = await startEntraEmulator()
  t.teardown(() => emulator.close())
  emulator.registerManagedIdentity({ tenantId })
  useEnvironment(t, emulator.env)
  const renewable = await makeCertificate({ notAfter: new Date(Date.now() + 24 * HOUR) })
  state.trusted = [renewable, second]
  let value = pemOf(renewable)
  const vault = await startKeyVault(t, { value: () => value })
  const clock = new FakeClock()
  const identityWeb = identityWebOf(t, { config: config({ SourceType: 'KeyVault', KeyVaultUrl: vault.origin, KeyVaultCertificateName: 'todo' }) }, { clock })
  const acquire = (name: string) => identityWeb.tokenAcquirer.getTokenForApp(`api://${name}/.default`)
  await acquire('first')
  value = pemOf(second)
  clock.setWall(Date.now())
  clock.tick(HOUR)
  clock.setWall(Date.now())

  await acquire('old')
  while (vault.requests.length < 4) await new Promise(resolve => setImmediate(resolve))
  for (let count = 0; !state.assertions.some(({ protectedHeader }) => protectedHeader['x5t#S256'] === thumbprintOf(second)); count++) await acquire(`new-${count}`)

  t.equal(state.assertions[1]?.protectedHeader['x5t#S256'], thumbprintOf(renewable), 'the one at hand is used meanwhile')
  t.equal(state.asked, state.assertions.length, 'none was refused')
  t.equal(vault.requests.length, 4)
})

t.test('a certificate that is replaced in Key Vault while 200 calls run, and is refused from then on, fails no call and is read once more', async t => {
  const { entra, todoApi, identities } = await startWorld(t)
  const app = { clientId: '77777777-7777-4777-8777-777777777777', tenantId }
  entra.registerApp({ ...app, certificates: [first.cert], appRoleAssignments: { [`api://${apiClientId}`]: ['Todo.Read'] } })
  entra.keyVault.setCertificate('todo', { pem: pemOf(first) })
  entra.keyVault.grant(identities.systemAssigned)
  const { AzureAd, MyWebApi } = appSettings(entra, todoApi.baseUrl)
  const credential = { SourceType: 'KeyVault', KeyVaultUrl: entra.keyVault.url, KeyVaultCertificateName: 'todo' }
  const { downstreamApi } = await build(t, { config: { AzureAd: { ...AzureAd, ClientId: app.clientId, ClientCredentials: [credential] }, MyWebApi } })
  const readings = () => entra.requests.filter(({ endpoint, status }) => endpoint === 'key-vault' && status === 200).length

  for (let wave = 0; wave < 20; wave++) {
    if (wave === 10) {
      t.equal(readings(), 1)
      entra.keyVault.setCertificate('todo', { pem: pemOf(second) })
      entra.replaceCertificates({ ...app, certificates: [second.cert] })
    }
    const forced = downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { forceRefresh: true } })
    const answers = await Promise.all([forced, ...Array.from({ length: 9 }, () => downstreamApi.getForApp('MyWebApi'))])
    t.strictSame(answers, Array(10).fill([{ id: 1, title: 'write the tests first' }]))
  }

  t.equal(readings(), 2)
  t.equal(entra.tokenRequests.filter(({ status }) => status === 401).length, 1)
  t.match(todoApi.callers.at(-1), { azp: app.clientId, azpacr: '2' })
})
