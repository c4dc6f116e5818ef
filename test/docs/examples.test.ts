import t from 'tap'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import ts from 'typescript'
import { asJavaScript } from '../fixtures/as-javascript.ts'
import { startWorld } from '../fixtures/build.ts'
import { startRedis, withoutRedis } from '../fixtures/redis-server.ts'
import { selfSigned } from '../fixtures/certificate.ts'
import { appSettings } from '../fixtures/todo-api.ts'
import { pages, root } from './pages.ts'

// Every TypeScript example of the documentation is a module that a user can copy: it compiles against the built package, and runs.
const examples = pages.flatMap(({ name, text }) => [...text.matchAll(/^```ts\n(.*?)^```$/gms)]
  .map(([, code], index) => ({ name: `${name.replace(/\W+/g, '-')}-${index + 1}`, code: code! })))

// Inside the package, so that it can be imported by its own name.
const folder = `${root}.tap/docs/`
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
const files = examples.map(({ name, code }) => writeExample(`${name}.ts`, code))

// Without folders of its own, the compiler takes the package as its users do: by its declarations.
const { options: { outDir: _, rootDir: __, declaration: ___, declarationMap: ____, sourceMap: _____, ...asUser } } =
  ts.parseJsonConfigFileContent(ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile).config, ts.sys, root)

let program: ts.Program | undefined
function faultsOf (files: string[]): string[] {
  program = ts.createProgram(files, { ...asUser, noEmit: true, noUnusedLocals: false }, undefined, program)
  return ts.getPreEmitDiagnostics(program)
    .map(({ file, messageText }) => `${file?.fileName.slice(folder.length)}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`)
}

function writeExample (name: string, code: string): string {
  writeFileSync(folder + name, code)
  return folder + name
}

t.setTimeout(120_000)

t.test('there are examples', async t => {
  t.ok(examples.length >= 10)
})

t.test('every example of the documentation compiles', async t => {
  const declaring = files.filter(file => readFileSync(file, 'utf8').includes('declare module'))

  // What one example declares is not there in the next.
  for (const group of [files.filter(file => !declaring.includes(file)), ...declaring.map(file => [file])]) t.strictSame(faultsOf(group), [])
})

t.test('where the names of the APIs are declared, no other name compiles', async t => {
  const file = writeExample('declared-names.ts', `
    import fastify from 'fastify'
    import identityWeb from 'fastify-identity-web'
    declare module 'fastify-identity-web' { interface DownstreamApiNames { MyWebApi: true } }
    const app = fastify()
    await app.register(identityWeb)
    await app.downstreamApi.getForApp('MyWebApi')
    app.get('/', { config: { downstreamApi: { MyWebApi: { identity: 'managed-identity' } } } }, () => '')
    // @ts-expect-error -- no such API
    await app.downstreamApi.getForApp('MyWebAip')
    // @ts-expect-error -- no such identity
    app.get('/', { config: { downstreamApi: { MyWebApi: { identity: 'managed' } } } }, () => '')
  `)
  t.strictSame(faultsOf([file]), [])
})

t.test('the built package tells the compiler of all that it adds to Fastify', async t => {
  const file = writeExample('decorators.ts', `
    import fastify from 'fastify'
    import identityWeb, { type CallerClaims } from 'fastify-identity-web'
    const app = fastify()
    await app.register(identityWeb, { inbound: true })
    export const decorators = [app.downstreamApi, app.authorizationHeaderProvider, app.tokenAcquirer, app.verifyBearer]
    app.get('/', { config: { auth: { scopes: ['Todo.Read'] } } }, async request => {
      const user: CallerClaims | null = request.user
      return [user?.oid, request.downstreamApi, request.authorizationHeaderProvider].length
    })
  `)
  t.strictSame(faultsOf([file]), [])
})

t.test('every example of the documentation runs', async t => {
  const { entra, todoApi } = await startWorld(t)
  const { key, cert } = await selfSigned()
  const cwd = t.testdir({
    'appsettings.json': JSON.stringify(appSettings(entra, todoApi.baseUrl)),
    'localhost-key.pem': key,
    'localhost.pem': cert,
    'server.js': 'process.exit(process.env.IDENTITY_ENDPOINT && process.env.AzureAd__Instance ? 0 : 1)',
  })
  const redis = withoutRedis === false ? await startRedis(t) : undefined
  const runner = asJavaScript(fileURLToPath(new URL('../fixtures/processes/run-example.ts', import.meta.url)))
  // What the built package does in these processes is no coverage of its sources.
  const env = { PATH: process.env['PATH'], SystemRoot: process.env['SystemRoot'], ...entra.env, REDIS_URL: redis?.url, TOKEN_CACHE_KEY: randomBytes(32).toString('base64'), _TAPJS_PROCESSINFO_COVERAGE_: '0' }

  const [waiting, skipped] = [[] as string[], [] as string[]]
  for (const file of files) (redis === undefined && readFileSync(file, 'utf8').includes('REDIS_URL') ? skipped : waiting).push(file)
  if (skipped.length > 0) t.pass(`${skipped.length} examples with Redis`, { skip: String(withoutRedis) })
  await Promise.all([1, 2, 3].map(async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const example = asJavaScript(file)
      // A test ends by itself, and later than its module.
      const args = readFileSync(file, 'utf8').includes("from 'node:test'") ? [example] : [runner, example]
      const outcome = await promisify(execFile)(process.execPath, args, { cwd, env, timeout: 30_000 }).catch((error: { code: number, stdout: string, stderr: string }) => error)
      t.match(outcome, { code: undefined, stderr: '' }, file.slice(folder.length))
    }
  }))
})
