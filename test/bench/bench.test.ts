import t from 'tap'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { plainEnvironment, root } from './processes.ts'

t.setTimeout(180_000)

async function run (script: string, args: readonly string[], output: string) {
  const file = fileURLToPath(new URL(script, import.meta.url))
  const outcome = await promisify(execFile)(process.execPath, ['--expose-gc', '--import', 'tsx', file, ...args, '--output', output], { cwd: root, env: plainEnvironment(), timeout: 150_000 })
    .then(({ stdout }) => ({ code: 0, stdout }), (error: { code: number, stdout: string, stderr: string }) => error)
  return { ...outcome, report: () => JSON.parse(readFileSync(output, 'utf8')) as Record<string, unknown> }
}

const rates = { callsPerSecond: Number, microseconds: Number, cpuMicroseconds: Number }
const spread = { median: Number, from: Number, to: Number }
const outcome = { mode: String, base: String, absolute: { mode: rates, base: rates }, ratio: { callsPerSecond: spread, cpu: spread } }

t.test('the benchmark runs, and tells what it measured as a table and as JSON', async t => {
  const { code, stdout, report } = await run('bench.ts', ['--quick', '--rounds', '1', '--round-time', '20'], `${t.testdir()}/bench.json`)

  t.equal(code, 0)
  t.match(stdout, /^\| getForApp, client credential \| [\d,]+ \| [\d,.]+ µs \|$/m)
  t.match(report(), { node: process.version, quick: true, rounds: 1, concurrency: 32, startUp: { importPackage: spread, importCore: spread, importMsal: spread, importRatio: spread, registerToReady: spread } })
  const { calls, headers, inbound, heap } = report() as { calls: unknown[], headers: unknown[], inbound: unknown[], heap: unknown[] }
  t.match(calls, Array(9).fill(outcome))
  t.match(headers, Array(7).fill(outcome))
  t.match(inbound, Array(3).fill({ ...outcome, added: spread }))
  t.match(heap, Array(3).fill({ cache: String, entries: Number, bytes: Number }))
})

t.test('figures of the quick form do not go into the documentation', async t => {
  t.match(await run('bench.ts', ['--quick', '--write-docs'], `${t.testdir()}/bench.json`), { code: 1, stderr: /only a whole run of full length/ })
})

t.test('the soak runs, and its checks hold', async t => {
  const { code, stdout, report } = await run('soak.ts', ['--seconds', '4', '--users', '300'], `${t.testdir()}/soak.json`)

  t.match({ code, stdout }, { code: 0, stdout: /\nall checks hold\n$/ })
  t.match(report(), { wrongTokens: 0, failedWithToken: 0, unhandledRejections: 0, failedChecks: [], faults: [] })
  const { calls, service } = report() as { calls: number, service: { tokens: number, faults: Record<string, number> } }
  t.ok(calls > 0 && service.tokens > 0 && Object.keys(service.faults).length > 0)
})
