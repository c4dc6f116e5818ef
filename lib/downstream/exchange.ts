import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { onAbort } from '../on-abort.ts'
import type { AnswerHeaders } from './answer-headers.ts'
import { callTimeout, toDownstreamError } from './downstream-error.ts'

/** What is done with a body when it is there as a whole; where it broke off, with as much of it as came. */
export type WholeBody = (error: unknown, body: Buffer) => void

/** What an exchange does to the connection that carries it. */
export type Controller = Pick<Dispatcher.DispatchController, 'abort' | 'pause' | 'resume'>

export interface ExchangeOptions {
  /** Of the API, for the errors. */
  readonly name: string
  /** Milliseconds until the exchange must have ended, or {@link Exchange.waitForBody} has been called. */
  readonly timeout: number
  /** The exchange of the same call before this one, which has used some of the time. */
  readonly before?: Exchange | undefined
  /** Each of them ends the exchange, which then fails with its reason. */
  readonly signals: readonly AbortSignal[]
  /** Status and headers are there; the body waits to be asked for. */
  readonly onAnswer: (exchange: Exchange) => void
  /** It has ended without an answer. */
  readonly onFailure: (error: unknown) => void
}

/** Milliseconds between two parts of a body that may take as long as it takes. */
const BODY_TIMEOUT = 300_000
/** Bytes of a body that are taken in before somebody asks for it. */
const HIGH_WATER_MARK = 65_536
const nothing = Buffer.alloc(0)

/**
 * One call from its beginning to the end of its answer.
 *
 * It is a handler on undici's dispatcher rather than undici's `request`, whose stream object costs more than all else in a small call.
 * The body can be taken once: as a whole, or as a stream.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  status = 0
  headers: AnswerHeaders = {}
  /** When the call began, in the milliseconds of `performance.now()`. */
  readonly #begun: number
  readonly #options: ExchangeOptions
  #timer: NodeJS.Timeout
  #isWaitingForBody = false
  /** Whether the timer is that of the body. */
  #hasBodyTimer = false
  /** Whether what is missing of the body is missing because nobody takes it. */
  #isHeldBack = false
  readonly #abort: ((event: Event) => void) | undefined
  #controller: Controller | undefined
  #state: 'sent' | 'answered' | 'complete' | 'failed' = 'sent'
  #error: unknown
  #wasEnded = false
  #ending: AbortController | undefined
  #chunks: Buffer[] = []
  #length = 0
  #limit = HIGH_WATER_MARK
  #whole: WholeBody | undefined
  #stream: Readable | undefined

  constructor (options: ExchangeOptions) {
    const { before, timeout } = options
    this.#options = options
    this.#begun = before === undefined ? performance.now() : before.#begun
    this.#timer = setTimeout(timeOut, before === undefined ? timeout : Math.max(1, this.#begun + timeout - performance.now()), this)
    if (options.signals.length === 0) return
    this.#abort = ({ target }) => this.end((target as AbortSignal).reason)
    const aborted = options.signals.find(signal => signal.aborted)
    if (aborted !== undefined) this.end(aborted.reason)
    else for (const signal of options.signals) onAbort(signal, this.#abort)
  }

  /** Whether the status is 2xx. */
  get ok (): boolean {
    return this.status >= 200 && this.status < 300
  }

  get isOver (): boolean {
    return this.#state === 'complete' || this.#state === 'failed'
  }

  /** Whether it was ended from here: by its time-out, a signal, or {@link end}. */
  get wasEnded (): boolean {
    return this.#wasEnded
  }

  /** How the body has been taken. */
  get taken (): 'whole' | 'stream' | undefined {
    if (this.#whole !== undefined) return 'whole'
    return this.#stream === undefined ? undefined : 'stream'
  }

  /** Aborted when the exchange is ended from here. */
  get signal (): AbortSignal {
    this.#ending ??= new AbortController()
    if (this.#wasEnded) this.#ending.abort(this.#error)
    return this.#ending.signal
  }

  /** What is left may take as long as it takes, if only it comes. */
  waitForBody (): void {
    this.#isWaitingForBody = true
  }

  /** Ends it from here: who waits for it is told `reason`. */
  end (reason: unknown): void {
    if (this.isOver) return
    this.#wasEnded = true
    this.#fail(reason)
    this.#ending?.abort(reason)
    this.#controller?.abort(new Error('the call was ended'))
  }

  /** Gives the body as a whole, or only as far as `limit` bytes: the rest is not waited for. */
  takeWhole (whole: WholeBody, limit = Infinity): void {
    this.#whole = whole
    this.#limit = limit
    if (this.#state === 'failed') whole(this.#error, this.#bytes())
    else if (this.#state === 'complete' || this.#length >= limit) this.#deliver()
    else this.#goOn()
  }

  /** The body as it comes; the same stream every time. */
  takeStream (): Readable {
    return (this.#stream ??= this.#openStream())
  }

  onRequestStart (controller: Controller): void {
    this.#controller = controller
    if (this.isOver) controller.abort(new Error('the call was ended'))
  }

  onResponseStart (_controller: Controller, status: number, headers: AnswerHeaders): void {
    // 1xx only announces the answer (RFC 9110 section 15.2).
    if (status < 200 || this.#state !== 'sent') return
    this.#state = 'answered'
    this.status = status
    this.headers = headers
    this.#options.onAnswer(this)
  }

  onResponseData (controller: Controller, chunk: Buffer): void {
    if (this.#state !== 'answered') return
    if (this.#hasBodyTimer) this.#timer.refresh()
    if (this.#stream !== undefined) {
      if (!this.#stream.push(chunk)) this.#holdBack(controller)
      return
    }
    this.#chunks.push(chunk)
    this.#length += chunk.length
    if (this.#length < this.#limit) return
    if (this.#whole === undefined) this.#holdBack(controller)
    else this.#deliver()
  }

  onResponseEnd (): void {
    if (this.#state !== 'answered') return
    this.#state = 'complete'
    this.#release()
    if (this.#stream !== undefined) this.#stream.push(null)
    else if (this.#whole !== undefined) this.#deliver()
  }

  onResponseError (_controller: Controller | undefined, error: unknown): void {
    this.#fail(toDownstreamError(error, this.#options.name))
  }

  /** It cannot be made, or has broken off. */
  #fail (error: unknown): void {
    if (this.isOver) return
    const hasAnswered = this.#state === 'answered'
    this.#state = 'failed'
    this.#error = error
    this.#release()
    if (!hasAnswered) this.#options.onFailure(error)
    else if (this.#stream !== undefined) this.#stream.destroy(asError(error))
    else this.#whole?.(error, this.#bytes())
  }

  #deliver (): void {
    if (this.#state === 'answered') {
      this.#state = 'complete'
      this.#release()
      this.#controller!.abort(new Error('the rest of the body is not wanted'))
    }
    this.#whole!(undefined, this.#bytes())
  }

  #holdBack (controller: Controller): void {
    this.#isHeldBack = true
    controller.pause()
  }

  #goOn (): void {
    this.#isHeldBack = false
    if (this.#hasBodyTimer) this.#timer.refresh()
    this.#controller!.resume()
  }

  #bytes (): Buffer {
    const [first = nothing] = this.#chunks
    return this.#chunks.length > 1 ? Buffer.concat(this.#chunks) : first
  }

  #openStream (): Readable {
    const stream = new Readable({
      highWaterMark: HIGH_WATER_MARK,
      read: () => this.#goOn(),
      destroy: (error, done) => {
        this.end(error)
        done(error)
      },
    })
    // A body that nobody listens to must not end the process when it breaks off.
    stream.on('error', () => {})
    for (const chunk of this.#chunks) stream.push(chunk)
    this.#chunks = []
    if (this.#state === 'complete') stream.push(null)
    if (this.#state === 'failed') stream.destroy(asError(this.#error))
    return stream
  }

  #release (): void {
    clearTimeout(this.#timer)
    if (this.#abort === undefined) return
    for (const signal of this.#options.signals) signal.removeEventListener('abort', this.#abort)
  }

  /** The timer of the call is up: where the body may take its time, that of the body begins. Most bodies are there by then. */
  timeOut (): void {
    const isUp = !this.#isWaitingForBody || (this.#hasBodyTimer && !this.#isHeldBack)
    if (isUp) return this.end(callTimeout(this.#options.name, this.#hasBodyTimer ? BODY_TIMEOUT : this.#options.timeout))
    this.#hasBodyTimer = true
    clearTimeout(this.#timer)
    this.#timer = setTimeout(timeOut, BODY_TIMEOUT, this)
  }
}

function timeOut (exchange: Exchange): void {
  exchange.timeOut()
}

/** A stream takes nothing else for a failure; a signal's reason may be anything. */
function asError (reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('the call was ended', { cause: reason })
}
