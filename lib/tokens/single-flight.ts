import { untilAborted } from '../until-aborted.ts'
import type { Clock } from './clock.ts'

/** What work is given while it is under way. */
export interface FlightContext {
  /** Aborted at the deadline, or when all work is ended. */
  readonly signal: AbortSignal
  /** On {@link Clock.elapsed}. */
  readonly deadline: number
  /** How many callers wait for it beside the one who started it. */
  readonly joins: () => number
}

/** One piece of work that several callers wait for. */
interface Flight<T> {
  readonly outcome: Promise<T>
  readonly controller: AbortController
  readonly join: () => void
}

/**
 * Runs work once per key at a time: callers that arrive while it runs share its outcome.
 * No caller can end the work for the others; only its deadline and {@link abortAll} do.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>()
  readonly #clock: Clock
  readonly #timeout: number

  /** @param timeout milliseconds after which the signal of a piece of work is aborted */
  constructor (clock: Clock, timeout: number) {
    this.#clock = clock
    this.#timeout = timeout
  }

  has (key: string): boolean {
    return this.#flights.has(key)
  }

  /** @param timeoutReason makes the reason of the abort at the deadline */
  run (key: string, work: (context: FlightContext) => Promise<T>, timeoutReason: () => unknown): Promise<T> {
    const running = this.#flights.get(key)
    if (running !== undefined) {
      running.join()
      return running.outcome
    }
    const controller = new AbortController()
    let joins = 0
    const outcome = this.#withinDeadline(controller, signal => work({ signal, deadline: this.#clock.elapsed() + this.#timeout, joins: () => joins }), timeoutReason).finally(() => this.#flights.delete(key))
    // Every caller may have gone by the time it fails; those who are left have their own handlers.
    outcome.catch(() => {})
    this.#flights.set(key, { outcome, controller, join: () => { joins++ } })
    return outcome
  }

  /** Ends all work that is under way, and resolves when all of it has ended. */
  async abortAll (reason: unknown): Promise<void> {
    const flights = [...this.#flights.values()]
    for (const { controller } of flights) controller.abort(reason)
    await Promise.allSettled(flights.map(({ outcome }) => outcome))
  }

  async #withinDeadline (controller: AbortController, work: (signal: AbortSignal) => Promise<T>, timeoutReason: () => unknown): Promise<T> {
    const { signal } = controller
    const cancel = this.#clock.after(this.#timeout, () => controller.abort(timeoutReason()))
    try {
      return await untilAborted(work(signal), signal)
    } finally {
      cancel()
    }
  }
}
