import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { spreadOf, type Spread } from './pairs.ts'
import { plainEnvironment, root } from './processes.ts'

/** What it costs to begin, in milliseconds, each in fresh processes. */
export interface StartUp {
  readonly importPackage: Spread
  readonly importCore: Spread
  readonly importMsal: Spread
  /** Of the package to MSAL, pair by pair. */
  readonly importRatio: Spread
  /** `register` and `ready` of an application with the plugin, less those of one with a plugin that does nothing. */
  readonly registerToReady: Spread
}

const importing = (name: string) => `const start = performance.now(); await import('${name}'); console.log(performance.now() - start)`

const readying = (plugin: string) => `
  import fastify from 'fastify'
  import fp from 'fastify-plugin'
  import identityWeb from 'fastify-identity-web'
  const nothing = fp(async () => {})
  const config = {
    AzureAd: { Instance: 'https://login.microsoftonline.com/', TenantId: '11111111-1111-4111-8111-111111111111', ClientId: '22222222-2222-4222-8222-222222222222', ClientCredentials: [{ SourceType: 'ClientSecret', ClientSecret: 'secret' }] },
    MyWebApi: { BaseUrl: 'https://todo.example/', RelativePath: 'api/TodoList', RequestAppToken: true, Scopes: ['api://todo/.default'] }
  }
  const app = fastify()
  const start = performance.now()
  await app.register(${plugin}, { config })
  await app.ready()
  console.log(performance.now() - start)
  await app.close()`

export async function measureStartUp (runs: number): Promise<StartUp> {
  const times = { importPackage: [] as number[], importCore: [] as number[], importMsal: [] as number[], plugin: [] as number[], nothing: [] as number[] }
  const scripts = {
    importPackage: importing('fastify-identity-web'),
    importMsal: importing('@azure/msal-node'),
    importCore: importing('fastify-identity-web/core'),
    plugin: readying('identityWeb'),
    nothing: readying('nothing'),
  }
  // The first run finds nothing in the cache of the file system, and does not count.
  for (let run = -1; run < runs; run++) {
    for (const [name, script] of Object.entries(scripts)) {
      const time = await timeOf(script)
      if (run >= 0) times[name as keyof typeof times].push(time)
    }
  }
  return {
    importPackage: spreadOf(times.importPackage),
    importCore: spreadOf(times.importCore),
    importMsal: spreadOf(times.importMsal),
    importRatio: spreadOf(times.importPackage.map((time, run) => time / times.importMsal[run]!)),
    registerToReady: spreadOf(times.plugin.map((time, run) => time - times.nothing[run]!)),
  }
}

async function timeOf (script: string): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], { cwd: root, env: plainEnvironment(), timeout: 30_000 })
  return Number(stdout)
}
