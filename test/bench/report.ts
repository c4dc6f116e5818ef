import { cpus } from 'node:os'
import { spreadOf, type Outcome, type Rates, type Spread } from './pairs.ts'
import type { StartUp } from './start-up.ts'

/** All that a run of the benchmark came to; a part that was left out is absent. */
export interface BenchReport {
  readonly node: string
  readonly platform: string
  readonly processors: string
  readonly quick: boolean
  /** Pairs of rounds a comparison, and milliseconds a round. */
  readonly rounds: number
  readonly roundMilliseconds: number
  readonly concurrency: number
  /** Characters of a token. */
  readonly tokenLength: number
  readonly calls?: readonly Outcome[]
  readonly headers?: readonly Outcome[]
  readonly inbound?: readonly Outcome[]
  /** Bytes a cached token, the token itself included. */
  readonly heap?: readonly HeapFigure[]
  readonly startUp?: StartUp
}

export interface HeapFigure {
  readonly cache: string
  readonly entries: number
  readonly bytes: number
}

export function machine (): Pick<BenchReport, 'node' | 'platform' | 'processors'> {
  const processors = cpus()
  return { node: process.version, platform: `${process.platform} ${process.arch}`, processors: `${processors.length} x ${processors[0]?.model.trim() ?? 'unknown'}` }
}

/** The report as it stands in the documentation. */
export function benchMarkdown (report: BenchReport): string {
  const { calls, headers, inbound, heap, startUp, rounds, roundMilliseconds, concurrency, tokenLength } = report
  const quick = report.quick ? ' This was the quick form, which is there to see that everything runs: its figures are rough.' : ''
  const sections = [
    `\`npm run bench\` on Node ${report.node}, ${report.platform}, ${report.processors}: medians of ${rounds} pairs of rounds of ${roundMilliseconds} ms, the quartiles of the ratios in parentheses.${quick}`,
    calls && callTable(calls, `${concurrency} calls under way at any time, tokens of ${tokenLength} characters, a JSON answer of about 300 bytes. What a mode does in a second changes with the machine from one comparison to the next; the ratios are of pairs that ran beside each other.`),
    headers && headerTable(headers),
    inbound && inboundTable(inbound),
    (heap ?? startUp) && costTable(heap ?? [], startUp),
  ]
  return sections.filter(Boolean).join('\n\n')
}

function callTable (outcomes: readonly Outcome[], caption: string): string {
  const sides = outcomes.flatMap(({ mode, base, absolute }) => [{ name: base, rates: absolute.base }, { name: mode, rates: absolute.mode }])
  const overall = (name: string, rate: keyof Rates) => spreadOf(sides.filter(side => side.name === name).map(({ rates }) => rates[rate])).median
  const names = [...new Set([...outcomes.map(({ base }) => base), ...outcomes.map(({ mode }) => mode)])]
  return [
    `**Calls.** ${caption}`,
    '',
    table(['call', 'requests a second', 'CPU a request'], names.map(name => [name, whole(overall(name, 'callsPerSecond')), micro(overall(name, 'cpuMicroseconds'))])),
    '',
    table(['call', 'compared with', 'requests a second', 'CPU a request'], outcomes.map(({ mode, base, ratio }) => [mode, base, times(ratio.callsPerSecond), times(ratio.cpu)])),
  ].join('\n')
}

function headerTable (outcomes: readonly Outcome[]): string {
  return [
    "**Headers.** One `Authorization` header from a cached token, one call after the other, against MSAL's own cached calls.",
    '',
    table(['header', 'time', 'CPU', 'compared with', 'time', 'CPU', 'times as fast'], outcomes.map(({ mode, base, absolute, ratio }) =>
      [mode, wall(absolute.mode), micro(absolute.mode.cpuMicroseconds), base, wall(absolute.base), micro(absolute.base.cpuMicroseconds), times(ratio.callsPerSecond)])),
  ].join('\n')
}

function inboundTable (outcomes: readonly Outcome[]): string {
  return [
    '**Callers.** Requests to routes of an application, without a socket, and the validation of a token by itself; one after the other.',
    '',
    table(['what', 'time', 'CPU', 'compared with', 'time', 'CPU', 'added', 'times as many a second', 'CPU'], outcomes.map(({ mode, base, absolute, added, ratio }) =>
      [mode, wall(absolute.mode), micro(absolute.mode.cpuMicroseconds), base, wall(absolute.base), micro(absolute.base.cpuMicroseconds), micro(added.median), times(ratio.callsPerSecond), times(ratio.cpu)])),
  ].join('\n')
}

function costTable (heap: readonly HeapFigure[], startUp: StartUp | undefined): string {
  return [
    '**Memory and start.** Heap a cached token, the token itself included; start-up in fresh processes.',
    '',
    table(['what', 'measured'], [
      ...heap.map(({ cache, entries, bytes }) => [`heap, ${cache}, of ${whole(entries)}`, `${(bytes / 1024).toFixed(2)} KiB`]),
      ...startUp === undefined
        ? []
        : [
            ["import of 'fastify-identity-web'", milliseconds(startUp.importPackage)],
            ["import of 'fastify-identity-web/core'", milliseconds(startUp.importCore)],
            ["import of '@azure/msal-node'", milliseconds(startUp.importMsal)],
            ["import of 'fastify-identity-web' to that of '@azure/msal-node'", times(startUp.importRatio)],
            ['`register` to `ready`, added to an empty application', milliseconds(startUp.registerToReady)],
          ],
    ]),
  ].join('\n')
}

export function table (head: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), `|${head.map((_, index) => index === 0 ? '---' : '---:').join('|')}|`, ...rows.map(line)].join('\n')
}

export function whole (value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: 0 })
}

function micro (value: number): string {
  return `${digits(value)} µs`
}

function wall ({ microseconds }: Rates): string {
  return micro(microseconds)
}

function times ({ median, from, to }: Spread): string {
  return `${digits(median)} x (${digits(from)} - ${digits(to)})`
}

function milliseconds ({ median, from, to }: Spread): string {
  return `${median.toFixed(1)} ms (${from.toFixed(1)} - ${to.toFixed(1)})`
}

function digits (value: number): string {
  return value.toLocaleString('en', value >= 100 ? { maximumFractionDigits: 0 } : { minimumFractionDigits: value >= 10 ? 1 : 2, maximumFractionDigits: value >= 10 ? 1 : 2 })
}
