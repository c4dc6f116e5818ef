import { Readable } from 'node:stream'
import type { Dispatcher, Pool } from 'undici'
import type { Exchange } from './exchange.ts'
import { isForm, undiciForm } from './form.ts'
import { RawHandler } from './raw-handler.ts'
import { isRepeatable, Repeating } from './repeating.ts'
import { waiting, type WireBody } from './request-body.ts'

/** A request that is ready to leave. */
export interface WireRequest {
  readonly method: string
  readonly origin: string
  /** With the query. */
  readonly path: string
  /** Name and value in turn. */
  readonly headers: readonly string[]
  readonly body: WireBody
}

export interface SendOptions {
  /** What carries it instead of the transport's own connections. */
  readonly dispatcher?: Dispatcher | undefined
  /** How often it may be repeated. */
  readonly retry: number
}

/** Loads undici. */
type ImportUndici = () => Promise<Pick<typeof import('undici'), 'Pool' | 'FormData'>>

/** Sends requests to downstream APIs; redirects are given back, not followed. */
export class Transport {
  readonly #shared: Dispatcher | undefined
  readonly #importUndici: ImportUndici
  /** By origin: the configuration has few. */
  readonly #own = new Map<string, Pool>()
  #isClosed = false

  /**
   * @param dispatcher carries all requests; without it, the transport opens and closes its own connections
   * @param importUndici loads it when it is needed first, so that importing the package stays cheap
   */
  constructor (dispatcher: Dispatcher | undefined, importUndici: ImportUndici = () => import('undici')) {
    this.#shared = dispatcher
    this.#importUndici = importUndici
  }

  /** Loads what the first request needs, so that it need not wait for it. */
  async load (): Promise<void> {
    await this.#importUndici()
  }

  send (request: WireRequest, options: SendOptions, exchange: Exchange): void {
    if (this.#isClosed) return exchange.onResponseError(undefined, closing())
    const given = options.dispatcher ?? this.#shared
    const carrier = given ?? this.#own.get(request.origin)
    if (carrier === undefined || isForm(request.body)) this.#sendLoaded(request, given, options.retry, exchange)
    else leave(carrier, given === undefined, request, options.retry, exchange)
  }

  /** Sends what undici has to be loaded for: over connections that are not open yet, or a form. */
  async #sendLoaded (request: WireRequest, given: Dispatcher | undefined, retry: number, exchange: Exchange): Promise<void> {
    const body = waiting(request.body)
    try {
      const { Pool, FormData } = await this.#importUndici()
      if (this.#isClosed) exchange.onResponseError(undefined, closing())
      if (!exchange.isOver) {
        const carrier = given ?? this.#ownFor(request.origin, Pool)
        return leave(carrier, given === undefined, isForm(body) ? { ...request, body: undiciForm(body, FormData) } : request, retry, exchange)
      }
    } catch (error) {
      exchange.end(error)
    }
    // Undici closes what it is given, and no other: a file must not stay open for a call that is over.
    if (body instanceof Readable) body.destroy()
  }

  #ownFor (origin: string, OwnPool: typeof Pool): Pool {
    const known = this.#own.get(origin)
    if (known !== undefined) return known
    const pool = new OwnPool(origin, { headersTimeout: 0, bodyTimeout: 0 })
    this.#own.set(origin, pool)
    return pool
  }

  async close (): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#own.values()].map(pool => pool.destroy()))
  }
}

function closing (): Error {
  return Object.assign(new Error('the application is closing'), { code: 'UND_ERR_DESTROYED' })
}

/** @param isOwn whether the carrier is the transport's own */
function leave (carrier: Dispatcher, isOwn: boolean, request: WireRequest, retry: number, exchange: Exchange): void {
  const { method, origin, path, headers, body } = request
  // The exchange has deadlines of its own, which cost less.
  const options: Dispatcher.DispatchOptions = { origin, path, method: method as Dispatcher.HttpMethod, headers: headers as string[], body: body as NonNullable<Dispatcher.DispatchOptions['body']> | null, headersTimeout: 0 }
  if (retry > 0 && isRepeatable(request)) {
    const again = (handler: Dispatcher.DispatchHandler) => dispatch(carrier, options, handler, exchange)
    again(new Repeating(again, retry, exchange))
  } else {
    dispatch(carrier, options, isOwn ? new RawHandler(exchange) as Dispatcher.DispatchHandler : exchange, exchange)
  }
}

function dispatch (carrier: Dispatcher, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler, exchange: Exchange): void {
  try {
    carrier.dispatch(options, handler)
  } catch (error) {
    exchange.onResponseError(undefined, error)
  }
}
