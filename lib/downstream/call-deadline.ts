/**
 * Ends a call when its time is up or one of its callers gives up, whichever is first.
 * The reason of {@link signal} is then what the call rejects with.
 */
export class CallDeadline {
  readonly #controller = new AbortController()
  readonly #sources: readonly AbortSignal[]
  readonly #timer: NodeJS.Timeout

  constructor (timeout: number, sources: readonly (AbortSignal | undefined)[], timeoutError: () => Error) {
    this.#timer = setTimeout(() => this.#controller.abort(timeoutError()), timeout)
    this.#sources = sources.filter(source => source !== undefined)
    for (const source of this.#sources) {
      if (source.aborted) this.#follow({ target: source })
      else source.addEventListener('abort', this.#follow, { once: true })
    }
  }

  get signal (): AbortSignal {
    return this.#controller.signal
  }

  /** What is left may take as long as it takes: only the callers can end it now. */
  stopTimer (): void {
    clearTimeout(this.#timer)
  }

  /** Nothing is left to end: signals that outlive the call forget it. */
  release (): void {
    clearTimeout(this.#timer)
    for (const source of this.#sources) source.removeEventListener('abort', this.#follow)
  }

  readonly #follow = ({ target }: { target: unknown }): void => {
    this.#controller.abort((target as AbortSignal).reason)
    this.release()
  }
}
