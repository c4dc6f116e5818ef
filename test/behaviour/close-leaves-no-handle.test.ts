import t from 'tap'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { buildIn, startWorld } from '../fixtures/build.ts'
import { answerJson, startRawServer } from '../fixtures/raw-server.ts'
import { appSettings, clientId, scope, tenantId } from '../fixtures/todo-api.ts'

const script = (name: string) => fileURLToPath(new URL(`../fixtures/processes/${name}.ts`, import.meta.url))

async function run (name: string, input: unknown, env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [...process.execArgv, script(name)], { env: { ...process.env, ...env, TEST_INPUT: JSON.stringify(input) }, timeout: 30_000 })
  let output = ''
  child.stdout.on('data', chunk => { output += chunk })
  child.stderr.on('data', chunk => { output += chunk })
  const [code, signal] = await once(child, 'exit')
  return { code, signal, output }
}

t.test('a process that registers, calls and closes ends by itself', async t => {
  const { entra, todoApi } = await startWorld(t)

  t.match(await run('call-and-close', appSettings(entra, todoApi.baseUrl), entra.env), { code: 0, signal: null, output: /client-credential: 1 item\nmanaged-identity: 1 item\n$/ })
})

t.test('a daemon that calls and closes ends by itself', async t => {
  const { entra, todoApi } = await startWorld(t)

  t.match(await run('daemon', appSettings(entra, todoApi.baseUrl), entra.env), { code: 0, signal: null, output: /^1 item\n$/ })
})

t.test('importing the package starts nothing: no handle, no connection, no MSAL', async t => {
  t.match(await run('import-only', {}), { code: 0, signal: null, output: /^resources: \[\]\nmsal: false\n$/ })
})

t.test('undici comes with the first call, and not with the package or an application that gets ready; with prewarm, it is there when the application is', async t => {
  const { origin } = await startRawServer(t, (_, response) => answerJson(response, 200, {}))
  const AzureAd = { Instance: 'https://login.microsoftonline.com/', TenantId: tenantId, ClientId: clientId, ClientCredentials: [{ SourceType: 'Path', CertificateDiskPath: 'missing.pem' }] }
  // It needs no token ahead.
  const OfUsers = { BaseUrl: origin, Scopes: [scope] }
  const config = { AzureAd, OfUsers, Open: { BaseUrl: origin } }

  t.match(await run('load-when-needed', { config, step: 'call' }), { code: 0, signal: null, output: /^imported: false\nready: false\n[^]*daemon: false\n[^]*called: true\n$/ })
  t.match(await run('load-when-needed', { config, step: 'prewarm' }), { code: 0, signal: null, output: /^imported: false\nready: true\n/ })
})

t.test('close ends an acquisition that is under way, also one that is never answered', async t => {
  const world = await startWorld(t)
  const app = await buildIn(t, world)
  world.entra.fail({ hang: true })
  const asked = app.tokenAcquirer.getTokenForApp(scope)
  const outcome = t.rejects(asked, { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', message: /closing/ })

  await app.close()

  await outcome
  await t.rejects(app.tokenAcquirer.getTokenForApp(scope), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', message: /closing/ })
})
