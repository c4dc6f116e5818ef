import { Worker } from './processes.ts'
import type { Figures, Run, WorkerOptions } from './worker.ts'

/** What is compared with what. */
export interface Comparison {
  readonly mode: string
  readonly base: string
}

/** A median, and the quartiles around it: half of what was measured lies between them. */
export interface Spread {
  readonly median: number
  readonly from: number
  readonly to: number
}

/** What came of one comparison. */
export interface Outcome extends Comparison {
  /** Medians. */
  readonly absolute: { readonly mode: Rates, readonly base: Rates }
  /** Of mode to base, pair by pair. */
  readonly ratio: { readonly callsPerSecond: Spread, readonly cpu: Spread }
  /** What mode takes more than base, in microseconds of wall time a call, pair by pair. */
  readonly added: Spread
}

export interface Rates {
  readonly callsPerSecond: number
  /** Of wall time, where calls follow each other; elsewhere see {@link cpuMicroseconds}. */
  readonly microseconds: number
  /** Of CPU time, a call. */
  readonly cpuMicroseconds: number
}

export interface PairsOptions extends Omit<WorkerOptions, 'mode'> {
  /** Pairs of rounds. */
  readonly rounds: number
  readonly run: Run
  /** Milliseconds for which a mode runs before it is measured, until compilers and connections are warm. */
  readonly warmUp: number
  /** Arguments of Node for the processes. */
  readonly execArgv: readonly string[]
  readonly tell: (line: string) => void
}

/**
 * Compares modes in pairs: a round of the one, a round of the other, again and again, the order turned every time. What
 * disturbs the machine for longer than a round then disturbs both, and the median of the ratios passes over the rest.
 */
export async function compare (comparisons: readonly Comparison[], { rounds, run, warmUp, execArgv, tell, ...workerOptions }: PairsOptions): Promise<Outcome[]> {
  const workers = new Map<string, Worker>()
  const outcomes: Outcome[] = []
  for (const [index, { mode, base }] of comparisons.entries()) {
    const pair = await Promise.all([started(mode), started(base)])
    for (const worker of pair) await worker.round({ ...run, milliseconds: warmUp })
    const measured: Array<{ mode: Rates, base: Rates }> = []
    for (let round = 0; round < rounds; round++) {
      const figures: Rates[] = []
      for (const side of round % 2 === 0 ? [0, 1] as const : [1, 0] as const) figures[side] = ratesOf(await pair[side].round(run))
      measured.push({ mode: figures[0]!, base: figures[1]! })
    }
    outcomes.push(outcomeOf({ mode, base }, measured))
    tell(`${index + 1}/${comparisons.length} ${mode}`)

    const later = comparisons.slice(index + 1).flatMap(({ mode, base }) => [mode, base])
    for (const name of [mode, base]) {
      if (later.includes(name)) continue
      await workers.get(name)?.stop()
      workers.delete(name)
    }
  }
  return outcomes

  async function started (mode: string): Promise<Worker> {
    const worker = workers.get(mode) ?? await Worker.start({ ...workerOptions, mode }, execArgv)
    workers.set(mode, worker)
    return worker
  }
}

function ratesOf ({ calls, milliseconds, cpuMicroseconds }: Figures): Rates {
  return { callsPerSecond: calls * 1_000 / milliseconds, microseconds: milliseconds * 1_000 / calls, cpuMicroseconds: cpuMicroseconds / calls }
}

function outcomeOf (comparison: Comparison, pairs: ReadonlyArray<{ mode: Rates, base: Rates }>): Outcome {
  return {
    ...comparison,
    absolute: { mode: medianRates(pairs.map(({ mode }) => mode)), base: medianRates(pairs.map(({ base }) => base)) },
    ratio: {
      callsPerSecond: spreadOf(pairs.map(({ mode, base }) => mode.callsPerSecond / base.callsPerSecond)),
      cpu: spreadOf(pairs.map(({ mode, base }) => mode.cpuMicroseconds / base.cpuMicroseconds)),
    },
    added: spreadOf(pairs.map(({ mode, base }) => mode.microseconds - base.microseconds)),
  }
}

function medianRates (rates: readonly Rates[]): Rates {
  const median = (name: keyof Rates) => spreadOf(rates.map(rate => rate[name])).median
  return { callsPerSecond: median('callsPerSecond'), microseconds: median('microseconds'), cpuMicroseconds: median('cpuMicroseconds') }
}

export function spreadOf (values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (part: number) => {
    const index = part * (sorted.length - 1)
    const below = sorted[Math.floor(index)]!
    return below + (sorted[Math.ceil(index)]! - below) * (index % 1)
  }
  return { median: at(0.5), from: at(0.25), to: at(0.75) }
}
