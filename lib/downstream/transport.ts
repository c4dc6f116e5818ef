import { Pool, type Dispatcher } from 'undici'
import type { Exchange } from './exchange.ts'
import { RawHandler } from './raw-handler.ts'
import { isRepeatable, Repeating } from './repeating.ts'
import type { WireBody } from './request-body.ts'

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

/** Sends requests to downstream APIs; redirects are given back, not followed. */
export class Transport {
  readonly #shared: Dispatcher | undefined
  /** By origin: the configuration has few. */
  readonly #own = new Map<string, Pool>()
  #isClosed = false

  /** @param dispatcher carries all requests; without it, the transport opens and closes its own connections */
  constructor (dispatcher: Dispatcher | undefined) {
    this.#shared = dispatcher
  }

  send (request: WireRequest, { dispatcher, retry }: SendOptions, exchange: Exchange): void {
    if (this.#isClosed) return exchange.onResponseError(undefined, Object.assign(new Error('the application is closing'), { code: 'UND_ERR_DESTROYED' }))
    const { method, origin, path, headers, body } = request
    const given = dispatcher ?? this.#shared
    const carrier = given ?? this.#ownFor(origin)
    // The exchange has deadlines of its own, which cost less.
    const options: Dispatcher.DispatchOptions = { origin, path, method: method as Dispatcher.HttpMethod, headers: headers as string[], body, headersTimeout: 0 }
    if (retry > 0 && isRepeatable(request)) {
      const again = (handler: Dispatcher.DispatchHandler) => dispatch(carrier, options, handler, exchange)
      again(new Repeating(again, retry, exchange))
    } else {
      dispatch(carrier, options, given === undefined ? new RawHandler(exchange) as Dispatcher.DispatchHandler : exchange, exchange)
    }
  }

  #ownFor (origin: string): Pool {
    const known = this.#own.get(origin)
    if (known !== undefined) return known
    const pool = new Pool(origin, { headersTimeout: 0, bodyTimeout: 0 })
    this.#own.set(origin, pool)
    return pool
  }

  async close (): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#own.values()].map(pool => pool.destroy()))
  }
}

function dispatch (carrier: Dispatcher, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler, exchange: Exchange): void {
  try {
    carrier.dispatch(options, handler)
  } catch (error) {
    exchange.onResponseError(undefined, error)
  }
}
