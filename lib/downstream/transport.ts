import { Agent, type Dispatcher } from 'undici'
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
  #own: Agent | undefined
  #isClosed = false

  /** @param dispatcher carries all requests; without it, the transport opens and closes its own connections */
  constructor (dispatcher: Dispatcher | undefined) {
    this.#shared = dispatcher
  }

  send (request: WireRequest, { dispatcher, retry }: SendOptions, exchange: Exchange): void {
    if (this.#isClosed) return exchange.onResponseError(undefined, Object.assign(new Error('the application is closing'), { code: 'UND_ERR_DESTROYED' }))
    const { method, origin, path, headers, body } = request
    const carrier = dispatcher ?? this.#shared ?? (this.#own ??= new Agent({ headersTimeout: 0, bodyTimeout: 0 }))
    // The exchange has deadlines of its own, which cost less.
    const options: Dispatcher.DispatchOptions = { origin, path, method: method as Dispatcher.HttpMethod, headers: headers as string[], body, headersTimeout: 0 }
    const dispatch = (handler: Dispatcher.DispatchHandler): void => {
      try {
        carrier.dispatch(options, handler)
      } catch (error) {
        exchange.onResponseError(undefined, error)
      }
    }
    if (retry > 0 && isRepeatable(request)) dispatch(new Repeating(dispatch, retry, exchange))
    else dispatch(carrier === this.#own ? new RawHandler(exchange) as Dispatcher.DispatchHandler : exchange)
  }

  async close (): Promise<void> {
    this.#isClosed = true
    await this.#own?.destroy()
  }
}
