import { Agent, interceptors, request, type Dispatcher } from 'undici'
import type { WireBody } from './request-body.ts'

/** A request that is ready to leave. */
export interface WireRequest {
  readonly method: string
  readonly url: string
  readonly headers: Headers
  readonly body: WireBody
}

export interface SendOptions {
  /** What carries it instead of the transport's own connections. */
  readonly dispatcher: Dispatcher | undefined
  /** How often it may be repeated. */
  readonly retry: number
  readonly signal: AbortSignal
}

/** Sends requests to downstream APIs; redirects are given back, not followed. */
export class Transport {
  readonly #shared: Dispatcher | undefined
  #own: Agent | undefined

  /** @param dispatcher carries all requests; without it, the transport opens and closes its own connections */
  constructor (dispatcher: Dispatcher | undefined) {
    this.#shared = dispatcher
  }

  async send ({ method, url, headers, body }: WireRequest, { dispatcher, retry, signal }: SendOptions): Promise<Dispatcher.ResponseData> {
    const carrier = dispatcher ?? this.#shared ?? (this.#own ??= new Agent())
    return await request(url, {
      dispatcher: retry > 0 ? carrier.compose(retrying(retry)) : carrier,
      method: method as Dispatcher.HttpMethod,
      headers: headers as unknown as Iterable<[string, string]>,
      body,
      signal,
      // The call has a deadline of its own.
      headersTimeout: 0,
    })
  }

  async close (): Promise<void> {
    await this.#own?.destroy()
  }
}

/**
 * Repeats what may be repeated: idempotent methods with a body that is still there, after a network error, 429, 500, 502, 503 or 504,
 * with a back-off of up to 10 s and as `Retry-After` asks.
 */
function retrying (maxRetries: number): Dispatcher.DispatcherComposeInterceptor {
  return interceptors.retry({ maxRetries, minTimeout: 250, maxTimeout: 10_000, throwOnError: false })
}
