import t from 'tap'
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import ts from 'typescript'
import { startWorld } from '../fixtures/build.ts'
import { appSettings } from '../fixtures/todo-api.ts'

// Every TypeScript example of the documentation is a module that a user can copy: it compiles against the built package, and runs.
const root = fileURLToPath(new URL('../../', import.meta.url))
const pages = ['README.md', ...readdirSync(`${root}docs`).filter(name => name.endsWith('.md')).map(name => `docs/${name}`)]
const examples = pages.flatMap(page => [...readFileSync(`${root}${page}`, 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)]
  .map(([, code], index) => ({ name: `${page.replace(/\W+/g, '-')}-${index + 1}`, code: code! })))

// Inside the package, so that it can be imported by its own name.
const folder = `${root}.tap/docs/`
mkdirSync(folder, { recursive: true })
const files = examples.map(({ name, code }) => {
  const file = `${folder}${name}.ts`
  writeFileSync(file, code)
  return file
})

// Without folders of its own, the compiler takes the package as its users do: by its declarations.
const { options: { outDir: _, rootDir: __, declaration: ___, declarationMap: ____, ...asUser } } =
  ts.parseJsonConfigFileContent(ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile).config, ts.sys, root)

function faultsOf (files: string[]): string[] {
  return ts.getPreEmitDiagnostics(ts.createProgram(files, { ...asUser, noEmit: true, noUnusedLocals: false }))
    .map(({ file, messageText }) => `${file?.fileName.slice(folder.length)}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`)
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
  const file = `${folder}declared-names.ts`
  writeFileSync(file, `
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

t.test('every example of the documentation runs', async t => {
  const { entra, todoApi } = await startWorld(t)
  const cwd = t.testdir({ 'appsettings.json': JSON.stringify(appSettings(entra, todoApi.baseUrl)) })
  const runner = fileURLToPath(new URL('../fixtures/processes/run-example.ts', import.meta.url))
  const tsx = import.meta.resolve('tsx')
  for (const file of files) {
    const { stderr } = await promisify(execFile)(process.execPath, ['--import', tsx, runner, file], { cwd, env: { PATH: process.env['PATH'], ...entra.env }, timeout: 30_000 }).catch((error: { stderr: string }) => error)
    t.equal(stderr, '', file.slice(folder.length))
  }
})
