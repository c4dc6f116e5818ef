/** One piece of work that several callers wait for. */
interface Flight<T> {
  readonly outcome: Promise<T>
  readonly controller: AbortController
}

/**
 * Runs work once per key at a time: callers that arrive while it runs share its outcome.
 * No caller can end the work for the others; only its deadline and {@link abortAll} do.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>()
  readonly #deadline: number
  readonly #timeoutReason: () => unknown

  /**
   * @param deadline milliseconds after which the work's signal is aborted
   * @param timeoutReason makes the reason of that abort
   */
  constructor (deadline: number, timeoutReason: () => unknown) {
    this.#deadline = deadline
    this.#timeoutReason = timeoutReason
  }

  run (key: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const running = this.#flights.get(key)
    if (running) return running.outcome

    const controller = new AbortController()
    const outcome = this.#withinDeadline(controller, work).finally(() => this.#flights.delete(key))
    // Every caller may have gone by the time it fails; those who are left have their own handlers.
    outcome.catch(() => {})
    this.#flights.set(key, { outcome, controller })
    return outcome
  }

  /** Ends all work that is under way, and resolves when all of it has ended. */
  async abortAll (reason: unknown): Promise<void> {
    const flights = [...this.#flights.values()]
    for (const { controller } of flights) controller.abort(reason)
    await Promise.allSettled(flights.map(({ outcome }) => outcome))
  }

  async #withinDeadline (controller: AbortController, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = controller
    const timer = setTimeout(() => controller.abort(this.#timeoutReason()), this.#deadline)
    try {
      return await untilAborted(work(signal), signal)
    } finally {
      clearTimeout(timer)
    }
  }
}

/** The outcome of `work`, or the signal's reason as soon as it is aborted; the work itself goes on. */
export function untilAborted<T> (work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
    if (signal.aborted) abort()
  })
}
