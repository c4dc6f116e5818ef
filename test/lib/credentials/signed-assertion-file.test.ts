import t from 'tap'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SignedAssertionFile } from '../../../lib/credentials/signed-assertion-file.ts'
import { endingJwt, jwtOf } from '../../fixtures/assertions.ts'
import { credentialServices } from '../../fixtures/credentials.ts'
import { useEnvironment } from '../../fixtures/environment.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'

const HOUR = 3_600_000
const windows = process.platform === 'win32' && 'Windows has none'

/** A file with `text`, and the credential that reads it. */
function fileWith (t: { testdir (content: Record<string, string>): string }, text: string, clock = new FakeClock()) {
  const path = join(t.testdir({ token: text }), 'token')
  const services = credentialServices({ clock })
  const credential = new SignedAssertionFile(path, 'AzureAd.ClientCredentials[0]', services)
  const read = async () => {
    const authentication = await credential.authenticate()
    return 'clientAssertion' in authentication ? authentication.clientAssertion : undefined
  }
  return { path, clock, credential, read, lines: services.lines, reason: () => read().then(() => undefined, (error: Error) => error.message) }
}

t.test('the token of the file is the assertion, without the spaces and lines around it', async t => {
  const token = jwtOf('first')
  const { read } = fileWith(t, `\n${token}\r\n`)

  t.equal(await read(), token)
})

t.test('a file that was replaced is read again at once, and one that was not is left alone', async t => {
  const { path, clock, read } = fileWith(t, '')
  const [first, second] = [endingJwt('first!', clock.now(), HOUR), endingJwt('second', clock.now(), HOUR)]
  writeFileSync(path, first)
  t.equal(await read(), first)

  writeFileSync(`${path}.new`, second)
  renameSync(`${path}.new`, path)
  t.equal(await read(), second)
})

t.test('a token that nears its end is looked for anew, though nothing tells that the file has changed', async t => {
  const { path, clock, read } = fileWith(t, '')
  const [first, second] = [endingJwt('first!', clock.now(), HOUR), endingJwt('second', clock.now(), 2 * HOUR)]
  const when = new Date(1_700_000_000_000)
  writeFileSync(path, first)
  utimesSync(path, when, when)
  t.equal(await read(), first)
  writeFileSync(path, second)
  utimesSync(path, when, when)

  t.equal(await read(), first)
  clock.tick(0.95 * HOUR)
  t.equal(await read(), second)
})

t.test('what Kubernetes projects is read through its links, and its rotation is seen', { skip: windows }, async t => {
  const folder = t.testdir({})
  const project = (name: string) => {
    mkdirSync(join(folder, name))
    writeFileSync(join(folder, name, 'token'), jwtOf(name))
    symlinkSync(name, join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
  }
  project('..2026_01')
  symlinkSync('..data/token', join(folder, 'token'))
  const credential = new SignedAssertionFile(join(folder, 'token'), 'x', credentialServices())
  t.strictSame(await credential.authenticate(), { clientAssertion: jwtOf('..2026_01') })

  project('..2026_02')
  rmSync(join(folder, '..2026_01'), { recursive: true })
  t.strictSame(await credential.authenticate(), { clientAssertion: jwtOf('..2026_02') })
})

t.test('without a path, it is the file that AZURE_FEDERATED_TOKEN_FILE names at the time', async t => {
  const folder = t.testdir({ one: jwtOf('one'), two: jwtOf('two') })
  const credential = new SignedAssertionFile(undefined, 'x', credentialServices())

  useEnvironment(t, { AZURE_FEDERATED_TOKEN_FILE: join(folder, 'one') })
  t.strictSame(await credential.authenticate(), { clientAssertion: jwtOf('one') })
  useEnvironment(t, { AZURE_FEDERATED_TOKEN_FILE: join(folder, 'two') })
  t.strictSame(await credential.authenticate(), { clientAssertion: jwtOf('two') })
  useEnvironment(t, { AZURE_FEDERATED_TOKEN_FILE: join(folder, 'three') })
  await t.rejects(credential.authenticate(), { message: /cannot be read \(ENOENT\)/, cause: { message: /three$/ } }, 'the token of another file does not stand for it')
  useEnvironment(t, {})
  await t.rejects(credential.authenticate(), { message: /no SignedAssertionFileDiskPath, and the environment variable AZURE_FEDERATED_TOKEN_FILE/ })
})

t.test('each way to be wrong has a reason, which holds nothing of the file, and whose cause has the path', async t => {
  const { path, clock, read, reason, lines } = fileWith(t, '')
  const expectReason = async (text: string, expected: RegExp) => {
    writeFileSync(path, text)
    const { message = '', cause } = await read().then(() => new Error('read'), (error: Error) => error)
    t.match(message, expected)
    t.notOk(message.includes(path))
    t.match(cause, { message: `the file is ${path}` })
    if (text.length > 10) t.notOk(message.includes(text.slice(0, 10)))
  }

  await expectReason('', /does not hold one signed token/)
  await expectReason('not a token at all', /does not hold one signed token/)
  await expectReason(jwtOf('half written').slice(0, -20), /does not hold one signed token/)
  await expectReason(`${jwtOf('one')}\n${jwtOf('another')}`, /does not hold one signed token/)
  await expectReason(`${jwtOf('x'.repeat(64 * 1024))}`, /is larger than 65536 bytes/)
  await expectReason(endingJwt('a', clock.now(), 0), /the token in the file has ended: /)

  rmSync(path)
  t.match(await reason(), /cannot be read \(ENOENT\)/)
  mkdirSync(path)
  t.match(await reason(), /is no file|cannot be read \((EISDIR|EPERM|EACCES)\)/)
  t.strictSame(lines, [])
})

t.test('a pipe is refused, and not waited for', { skip: windows }, async t => {
  const { path, reason } = fileWith(t, '')
  rmSync(path)
  execFileSync('mkfifo', [path])

  t.match(await reason(), /is no file/)
})

t.test('a file that may not be read is a reason', { skip: windows || (process.getuid?.() === 0 && 'root may read all') }, async t => {
  const { path, reason } = fileWith(t, jwtOf('a'))
  chmodSync(path, 0)

  t.match(await reason(), /cannot be read \(EACCES\)/)
})

t.test('while the file is broken, the token that was read before is used until it ends, with one warning for each time that it breaks', async t => {
  const { path, clock, read, reason, lines } = fileWith(t, '')
  const [first, second] = [endingJwt('first', clock.now(), HOUR), endingJwt('second', clock.now(), 2 * HOUR)]
  writeFileSync(path, first)
  await read()

  writeFileSync(path, second.slice(0, 40))
  t.equal(await read(), first)
  t.equal(await read(), first)
  t.match(lines, [{ level: 'warn', fields: { credential: 'AzureAd.ClientCredentials[0]', path, reason: /does not hold one signed token/ }, message: /used until it ends/ }])
  t.equal(lines.length, 1)

  writeFileSync(path, second)
  t.equal(await read(), second)
  rmSync(path)
  t.equal(await read(), second)
  t.equal(lines.length, 2)
  clock.tick(2 * HOUR)
  t.match(await reason(), /ENOENT/)
  t.notMatch(JSON.stringify(lines), first.slice(0, 30))
})

t.test('the end of a token is judged by the clock that is given', async t => {
  const clock = new FakeClock(1_000_000_000_000)
  const token = endingJwt('a', clock.now(), HOUR)
  const { read, reason } = fileWith(t, token, clock)

  t.equal(await read(), token)
  clock.tick(HOUR)
  t.match(await reason(), /has ended/)
})

t.test('after a refusal the file is read again, also where nothing tells that it has changed', async t => {
  const { path, read, credential } = fileWith(t, '')
  const when = new Date(1_700_000_000_000)
  const write = (text: string) => {
    writeFileSync(path, text)
    utimesSync(path, when, when)
  }
  write(jwtOf('first!'))
  const refused = await credential.authenticate()
  write(jwtOf('second'))
  t.equal(await read(), jwtOf('first!'))

  await credential.reload(refused)
  t.equal(await read(), jwtOf('second'))
  write(jwtOf('third!'))
  await credential.reload(refused)
  t.equal(await read(), jwtOf('second'), 'what was refused is long replaced')
})

t.test('who was refused does not join a look at the file that began before', async t => {
  const { path, credential } = fileWith(t, jwtOf('first'))
  const refused = await credential.authenticate()
  const begun = credential.authenticate()
  writeFileSync(path, jwtOf('the second'))
  await credential.reload(refused)

  t.strictSame(await credential.authenticate(), { clientAssertion: jwtOf('the second') })
  await begun
})

t.test('callers at one time share one look at the file', async t => {
  const { read } = fileWith(t, jwtOf('first'))

  t.strictSame(new Set(await Promise.all(Array.from({ length: 50 }, read))), new Set([jwtOf('first')]))
})
