import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { HeapOptions } from './heap.ts'
import { compare, type Comparison } from './pairs.ts'
import { Script, startApi, startTokenService } from './processes.ts'
import { benchMarkdown, machine, type BenchReport, type HeapFigure } from './report.ts'
import { writeBlock } from './docs-block.ts'
import { measureStartUp } from './start-up.ts'
import { TOKEN_LENGTH } from './tagged-token.ts'

const usage = `npm run bench -- [flags]
  --quick           fewer and shorter rounds, and smaller caches: everything in less than a minute
  --only <part>     calls, headers, inbound, heap or start; can be repeated
  --rounds <n>      pairs of rounds a comparison
  --round-time <ms> length of a round
  --output <file>   where the JSON goes; default: a file in the system's temporary folder
  --profile <dir>   a CPU profile of every mode of calls and headers
  --write-docs      writes the tables into docs/performance.md`

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: ['calls', 'headers', 'inbound', 'heap', 'start'] },
    rounds: { type: 'string' },
    'round-time': { type: 'string' },
    output: { type: 'string', default: join(tmpdir(), 'fastify-identity-web-bench.json') },
    profile: { type: 'string' },
    'write-docs': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  }
})
const { quick, only } = flags
if (flags.help) {
  console.log(usage)
  process.exit(0)
}
if (flags['write-docs'] && (quick || only.length < 5)) throw new Error('only a whole run of full length goes into the documentation')

const raw = 'undici.request + JSON.parse, fixed header'
const rawForUsers = 'undici.request + JSON.parse, a fixed header for each of 10,000 users'
const calls: readonly Comparison[] = [
  { mode: 'getForApp, client credential', base: raw },
  { mode: 'getForApp, managed identity', base: raw },
  { mode: 'getForUser, 1 user', base: raw },
  { mode: 'getForUser, 10,000 users', base: raw },
  { mode: 'getForUser, 10,000 users', base: rawForUsers },
  { mode: 'getForUser, 10,000 users, hashed in the call', base: raw },
  { mode: 'callApiForApp + text()', base: raw },
  { mode: 'msal-node cached + undici.request', base: raw },
  { mode: 'msal-node cached + fetch', base: raw },
  { mode: "getForApp, responseType 'stream', 256 KiB", base: 'undici.request, fixed header, 256 KiB streamed' },
  { mode: 'getForApp, client credential', base: 'msal-node cached + undici.request' },
  { mode: 'getForApp, client credential', base: 'msal-node cached + fetch' },
]

/** MSAL's cost grows with what it has cached, so that 1,000 stand for more: filling it with more takes minutes. */
const headers: readonly Comparison[] = [
  { mode: 'app, 1 token', base: 'msal-node app, 1 token' },
  { mode: 'app, 1,000 tokens', base: 'msal-node app, 1,000 tokens' },
  { mode: 'app, 50,000 tokens', base: 'msal-node app, 1,000 tokens' },
  { mode: 'app, the same of 50,000 tokens', base: 'msal-node app, 1,000 tokens' },
  { mode: 'managed identity, 1 token', base: 'msal-node managed identity, 1 token' },
  { mode: 'user from the assertion, 1 user', base: 'msal-node user, 1 user' },
  { mode: 'user, request prepared before, 1 user', base: 'msal-node user, 1 user' },
  { mode: 'user from the assertion, 10,000 users', base: 'msal-node user, 1,000 users' },
  { mode: 'user, request prepared before, 10,000 users', base: 'msal-node user, 1,000 users' },
]

const inbound: readonly Comparison[] = [
  { mode: 'protected route, token seen before', base: 'open route' },
  { mode: 'protected route, tokens of 1,000 callers seen before', base: 'open route, tokens of 1,000 callers' },
  { mode: 'a token that was not seen before', base: 'jose: jwtVerify with a local key set' },
  { mode: 'route that calls an API on behalf of its caller', base: 'route that calls an API as the app' },
]

/** In the quick form, what takes long to fill is left out, or is smaller. */
const quickCalls = calls.filter(({ mode }) => !mode.includes('10,000'))
const quickHeaders: readonly Comparison[] = [
  ...headers.filter(({ base }) => !base.includes('1,000')),
  { mode: 'app, 1,000 tokens', base: 'msal-node app, 1 token' },
  { mode: 'user from the assertion, 1,000 users', base: 'msal-node user, 1 user' },
  { mode: 'user, request prepared before, 1,000 users', base: 'msal-node user, 1 user' },
]

const heaps: ReadonlyArray<Omit<HeapOptions, 'tokenService'>> = [
  { cache: 'user', entries: quick ? 1_000 : 10_000 },
  { cache: 'app', entries: quick ? 1_000 : 10_000 },
  { cache: 'msal-node user', entries: quick ? 50 : 1_000 },
]

const rounds = Number(flags.rounds ?? (quick ? 3 : 11))
const milliseconds = Number(flags['round-time'] ?? (quick ? 100 : 1_000))
const execArgv = flags.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${flags.profile}`]
const concurrency = 32

const api = await startApi()
const tokenService = await startTokenService({ lifetime: [86_400, 86_400], faults: 0 })
const common = { api: api.urls, tokenService: tokenService.origin, rounds, warmUp: Math.min(milliseconds * 2, 1_500), execArgv, tell: (line: string) => console.error(line) }

async function measureHeap (): Promise<HeapFigure[]> {
  const figures: HeapFigure[] = []
  for (const heap of heaps) {
    const script = new Script('heap', { ...heap, tokenService: tokenService.origin } satisfies HeapOptions, ['--expose-gc'])
    figures.push({ ...heap, bytes: await script.answer<number>() })
    await script.stop()
    console.error(`heap, ${heap.cache}`)
  }
  return figures
}

try {
  const report: BenchReport = {
    ...machine(),
    quick,
    rounds,
    roundMilliseconds: milliseconds,
    concurrency,
    tokenLength: TOKEN_LENGTH,
    ...only.includes('calls') && { calls: await compare(quick ? quickCalls : calls, { ...common, run: { milliseconds, concurrency } }) },
    // One call after the other needs less time to be sure of.
    ...only.includes('headers') && { headers: await compare(quick ? quickHeaders : headers, { ...common, run: { milliseconds: milliseconds / 4, concurrency: 1 } }) },
    ...only.includes('inbound') && { inbound: await compare(quick ? inbound.filter(({ mode }) => !mode.includes('1,000')) : inbound, { ...common, run: { milliseconds: milliseconds / 2, concurrency: 1 } }) },
    ...only.includes('heap') && { heap: await measureHeap() },
    ...only.includes('start') && { startUp: await measureStartUp(quick ? Math.min(rounds, 2) : 11) },
  }
  writeFileSync(flags.output, JSON.stringify(report, undefined, 2))
  const markdown = benchMarkdown(report)
  console.log(`\n${markdown}\n\nJSON: ${flags.output}`)
  if (flags['write-docs']) writeBlock('docs/performance.md', 'bench', markdown)
} finally {
  await Promise.all([api.stop(), tokenService.stop()])
}
