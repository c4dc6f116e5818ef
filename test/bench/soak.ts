import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { writeBlock } from './docs-block.ts'
import { spreadOf } from './pairs.ts'
import { startTokenService } from './processes.ts'
import { machine, table, whole } from './report.ts'
import { Tally } from './soak-tally.ts'
import { anyTarget, targetsOf } from './soak-targets.ts'
import { setStage, settings } from './stage.ts'

// Calls for many users, apps and managed identities, with tokens that live for seconds, while the token service fails at random and now
// and then altogether. Every token says whom it is for, and of every call it is known whether it was right to fail.

const usage = `npm run soak -- [flags]
  --seconds <n>    how long; default: 60
  --rate <n>       calls a second; default: 500
  --users <n>      default: 2000
  --output <file>  where the JSON goes; default: a file in the system's temporary folder
  --write-docs     writes the figures into docs/reliability.md`

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    rate: { type: 'string', default: '500' },
    users: { type: 'string', default: '2000' },
    output: { type: 'string', default: join(tmpdir(), 'fastify-identity-web-soak.json') },
    'write-docs': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  }
})
if (flags.help) {
  console.log(usage)
  process.exit(0)
}
const [seconds, rate, users] = [flags.seconds, flags.rate, flags.users].map(Number) as [number, number, number]
if (flags['write-docs'] && seconds < 60) throw new Error('only a run of 60 seconds or more goes into the documentation')

/** Milliseconds. */
const TOKEN_TIMEOUT = 2_000
const TICK = 10
/** MiB. */
const ALLOWED_GROWTH = 2
/** In a shorter run, not all users have had a token by half of the time: memory is only told. */
const SECONDS_TO_SETTLE = 30

const tokenService = await startTokenService({ lifetime: [8, 20], faults: 0.25, outages: { every: 15_000, length: 3_000 } })
process.env['IDENTITY_ENDPOINT'] = `${tokenService.origin}/msi/token`
process.env['IDENTITY_HEADER'] = 'header'

const tally = new Tally()
const stage = setStage({ config: settings(tokenService.origin), tokenTimeout: TOKEN_TIMEOUT, around: ask => tally.around(ask) })
const targets = targetsOf(stage, users)

/** Calls at the rate, whether or not those before have ended. */
async function callFor (milliseconds: number): Promise<void> {
  const start = performance.now()
  const pending = new Set<Promise<void>>()
  for (let made = 0, passed = 0; passed < milliseconds; passed = performance.now() - start) {
    for (; made < passed * rate / 1_000; made++) {
      const running = tally.call(anyTarget(targets))
      pending.add(running)
      running.finally(() => pending.delete(running))
    }
    await new Promise(resolve => setTimeout(resolve, TICK))
  }
  await Promise.all(pending)
}

/** In use after a collection, in MiB, over time. */
const heap: number[] = []
const sampling = setInterval(() => {
  gc!()
  heap.push(process.memoryUsage().heapUsed / 1024 / 1024)
}, Math.min(2_000, seconds * 100))

const cpu = process.cpuUsage()
await callFor(seconds * 1_000)
clearInterval(sampling)
const { user, system } = process.cpuUsage(cpu)
const service = await tokenService.figures()
await stage.engine.close()
await stage.provider.close()
await tokenService.stop()
// A rejection that nobody handles is told of after the turn in which it happens.
await new Promise(resolve => setTimeout(resolve, 100))

// Every user has had a token by half of the time: what grows after that would grow for ever.
const settled = heap.slice(Math.floor(heap.length / 2))
const earlier = spreadOf(settled.slice(0, Math.ceil(settled.length / 2))).median
const later = spreadOf(settled.slice(Math.ceil(settled.length / 2))).median
const isFlat = seconds < SECONDS_TO_SETTLE || later - earlier < ALLOWED_GROWTH

const { counts, faults, waits } = tally
const byLength = waits.toSorted((a, b) => a - b)
const waited = (part: number) => `${byLength[Math.floor((byLength.length - 1) * part)]!.toFixed(2)} ms`

const checks: ReadonlyArray<readonly [name: string, value: string, holds: boolean]> = [
  ['wrong tokens', whole(counts.wrongTokens), counts.wrongTokens === 0],
  ['failed calls while a valid token existed', whole(counts.failedWithToken), counts.failedWithToken === 0],
  ['errors of another kind than that of an acquisition', whole(counts.strangeErrors), counts.strangeErrors === 0],
  ['unhandled rejections', whole(counts.unhandledRejections), counts.unhandledRejections === 0],
  ['heap after collection, in the third and in the last quarter', `${earlier.toFixed(1)} MiB, ${later.toFixed(1)} MiB`, isFlat],
]
const told: ReadonlyArray<readonly [name: string, value: string]> = [
  ['calls', `${whole(counts.calls)} in ${seconds} s`],
  ['users, scopes of the app, managed identities', `${whole(users)}, ${targets.apps.length}, ${targets.managedIdentities.length}`],
  ['token requests', whole(service.requests)],
  ['token requests that met a fault', whole(Object.values(service.faults).reduce((sum, count) => sum + count, 0))],
  ['failed calls that had no token', whole(counts.failedWithout)],
  ['failed calls whose token ended while they waited for the next', whole(counts.endedMeanwhile)],
  ['time to a header: median, 90 %, 99 %', [0.5, 0.9, 0.99].map(waited).join(', ')],
  ['CPU of the process', `${whole((user + system) / 10_000 / seconds)} % of one core`],
]
const markdown = [
  `\`npm run soak\` on Node ${machine().node}, ${machine().platform}: tokens that live for 8 to 20 s, a quarter of the token requests met by a fault, and an outage of 3 s every 15 s.`,
  table(['must hold', 'measured'], checks.map(([name, value]) => [name, value])),
  table(['beside', 'measured'], told),
  table(['fault', 'times'], Object.entries(service.faults).sort(([, a], [, b]) => b - a).map(([kind, times]) => [kind, whole(times)])),
].join('\n\n')

const failedChecks = checks.filter(([, , holds]) => !holds).map(([name]) => name)
writeFileSync(flags.output, JSON.stringify({ ...machine(), seconds, rate, users, ...counts, service, heap, failedChecks, faults }, undefined, 2))
console.log(`${markdown}\n\nJSON: ${flags.output}`)
for (const fault of faults) console.error(fault)
console.log(failedChecks.length === 0 ? 'all checks hold' : `FAILED: ${failedChecks.join('; ')}`)
if (failedChecks.length > 0) process.exitCode = 1
else if (flags['write-docs']) writeBlock('docs/reliability.md', 'soak', markdown)
