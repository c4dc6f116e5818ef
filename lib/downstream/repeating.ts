import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { retryAfterSeconds } from '../tokens/retry-after.ts'
import { headerValue, type AnswerHeaders } from './answer-headers.ts'
import type { Controller, Exchange } from './exchange.ts'
import type { WireRequest } from './transport.ts'

// RFC 9110 section 9.2.2.
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])
const again = new Set([429, 500, 502, 503, 504])
/** Milliseconds before the first repetition; doubled before every further one. `Retry-After` goes before it. */
const FIRST_DELAY = 250
const LONGEST_DELAY = 10_000

/** Whether a request may be made twice: its method says so, and its body is still there. */
export function isRepeatable ({ method, body }: WireRequest): boolean {
  return idempotent.has(method) && typeof (body as Readable | null)?.pipe !== 'function'
}

/**
 * Stands between the dispatcher and an exchange, and makes the request again after a network error, or a status that means "again".
 * What the exchange sees is the last answer only.
 */
export class Repeating implements Dispatcher.DispatchHandler, Controller {
  readonly #dispatch: (handler: Dispatcher.DispatchHandler) => void
  readonly #exchange: Exchange
  #left: number
  #made = 0
  /** Seconds, as the API has asked. */
  #retryAfter: number | undefined
  #controller: Controller | undefined
  #timer: NodeJS.Timeout | undefined
  /** What the present attempt has come to: nothing yet, an answer that is dropped, or the one that counts. */
  #answer: 'none' | 'dropped' | 'given' = 'none'

  /** @param retries how often the request may be made again */
  constructor (dispatch: (handler: Dispatcher.DispatchHandler) => void, retries: number, exchange: Exchange) {
    this.#dispatch = dispatch
    this.#left = retries
    this.#exchange = exchange
  }

  abort (reason: Error): void {
    clearTimeout(this.#timer)
    this.#controller!.abort(reason)
  }

  pause (): void {
    this.#controller!.pause()
  }

  resume (): void {
    this.#controller!.resume()
  }

  onRequestStart (controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.#exchange.onRequestStart(this)
  }

  onResponseStart (_controller: Dispatcher.DispatchController, status: number, headers: AnswerHeaders): void {
    if (this.#left > 0 && again.has(status)) {
      this.#answer = 'dropped'
      this.#retryAfter = retryAfterSeconds(headerValue(headers, 'retry-after'), Date.now())
    } else {
      if (status >= 200) this.#answer = 'given'
      this.#exchange.onResponseStart(this, status, headers)
    }
  }

  onResponseData (_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#answer === 'given') this.#exchange.onResponseData(this, chunk)
  }

  onResponseEnd (): void {
    if (this.#answer === 'given') this.#exchange.onResponseEnd()
    else this.#repeat()
  }

  onResponseError (_controller: Dispatcher.DispatchController | undefined, error: unknown): void {
    const isFinal = this.#answer === 'given' || this.#left === 0 || this.#exchange.isOver
    if (isFinal) this.#exchange.onResponseError(undefined, error)
    else this.#repeat()
  }

  /** Half of the delay is certain, and the other half is chance: calls that failed together do not come back together. */
  #repeat (): void {
    if (this.#exchange.isOver) return
    const delay = this.#retryAfter === undefined ? FIRST_DELAY * 2 ** this.#made * (1 + Math.random()) / 2 : this.#retryAfter * 1000
    this.#left--
    this.#made++
    this.#answer = 'none'
    this.#retryAfter = undefined
    this.#timer = setTimeout(this.#dispatch, Math.min(delay, LONGEST_DELAY), this)
  }
}
