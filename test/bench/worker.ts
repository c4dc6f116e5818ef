import { callModes } from './modes/calls.ts'
import { headerModes } from './modes/headers.ts'
import { inboundModes } from './modes/inbound.ts'
import type { ApiUrls } from './processes.ts'

// One mode in a process of its own: it is set up, says so, and then runs a round for every message that comes.

export interface WorkerOptions {
  readonly mode: string
  readonly api: ApiUrls
  /** Origin of the token service. */
  readonly tokenService: string
}

/** One round. */
export interface Run {
  readonly milliseconds: number
  /** How many calls are under way at any time. */
  readonly concurrency: number
}

/** What a round came to. */
export interface Figures {
  readonly calls: number
  readonly milliseconds: number
  /** Of the whole process. */
  readonly cpuMicroseconds: number
}

/** Sets a mode up, and gives what is to be measured. */
export type Mode = (options: WorkerOptions) => Promise<() => Promise<unknown>>

const options = JSON.parse(process.argv[2]!) as WorkerOptions
// Managed identity endpoints are looked for here when the first token is asked for.
process.env['IDENTITY_ENDPOINT'] = `${options.tokenService}/msi/token`
process.env['IDENTITY_HEADER'] = 'header'
const call = await { ...callModes, ...headerModes, ...inboundModes }[options.mode]!(options)

async function round ({ milliseconds, concurrency }: Run): Promise<Figures> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  const end = start + milliseconds
  const calls = await Promise.all(Array.from({ length: concurrency }, () => callUntil(end)))
  const { user, system } = process.cpuUsage(cpu)
  return { calls: calls.reduce((sum, count) => sum + count), milliseconds: performance.now() - start, cpuMicroseconds: user + system }
}

async function callUntil (end: number): Promise<number> {
  let calls = 0
  // The clock is read once for several calls, since it costs as much as some of them.
  do {
    for (let more = 0; more < 8; more++) await call()
    calls += 8
  } while (performance.now() < end)
  return calls
}

process.on('disconnect', () => process.exit())
process.on('message', run => round(run as Run).then(figures => process.send!(figures)))
process.send!('ready')
