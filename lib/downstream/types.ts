import type { Readable } from 'node:stream'

/** A request to a downstream API as the hooks see it; what they change is sent. */
export interface DownstreamRequest {
  method: string
  /** Stays inside the API's origin and base path, or the call is refused. */
  url: string
  headers: Headers
  body: unknown
}

/** The answer of a downstream API, in the shape of a fetch `Response`; its body streams. */
export interface DownstreamResponse {
  readonly status: number
  /** Whether the status is 2xx. */
  readonly ok: boolean
  readonly headers: Headers
  readonly url: string
  readonly body: Readable
  /** @throws DownstreamBodyError when the body is not JSON */
  json (): Promise<unknown>
  text (): Promise<string>
  arrayBuffer (): Promise<ArrayBuffer>
  /** Reads the rest of the body away, so that the connection can be used again. */
  discard (): Promise<void>
}
