import type { INetworkModule, NetworkRequestOptions, NetworkResponse } from '@azure/msal-node'
import { request, type Dispatcher } from 'undici'
import { boundedText } from '../bounded-text.ts'
import { jsonObject } from '../json-object.ts'
import { redact } from '../redact.ts'
import { isReservedHeader } from '../reserved-headers.ts'

/** The last thing that came over the wire: MSAL's errors keep little of it. */
export interface WireEvidence {
  status?: number
  /** Value of `Retry-After` as it came: seconds or a date. */
  retryAfter?: string | undefined
  /** The parsed JSON object of the answer, if it was one. */
  body?: Readonly<Record<string, unknown>>
  /** Why there was no answer, or none that could be read. */
  failure?: unknown
}

export interface MsalNetworkClientOptions {
  readonly dispatcher: Dispatcher
  /** Ends the exchange: the deadline of the acquisition, or the closing of the application. */
  readonly signal: AbortSignal
  /** Sent beside MSAL's own. */
  readonly headers?: Readonly<Record<string, string>>
  /** Added to the query of every request. */
  readonly query?: Readonly<Record<string, string>>
  /** What the user adds; none of the above is replaced. */
  readonly extraHeaders?: Readonly<Record<string, string>>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

const MAX_BODY = 1024 * 1024

/**
 * MSAL's door to the network, made for one acquisition: it ends with the acquisition's signal, follows no redirect,
 * gives MSAL only JSON objects that are either a token or an error, and keeps the evidence of what came.
 */
export class MsalNetworkClient implements INetworkModule {
  readonly evidence: WireEvidence = {}
  readonly #options: MsalNetworkClientOptions

  constructor (options: MsalNetworkClientOptions) {
    this.#options = options
  }

  sendGetRequestAsync<T> (url: string, options?: NetworkRequestOptions): Promise<NetworkResponse<T>> {
    return this.#exchange('GET', url, options)
  }

  sendPostRequestAsync<T> (url: string, options?: NetworkRequestOptions): Promise<NetworkResponse<T>> {
    return this.#exchange('POST', url, options)
  }

  async #exchange<T> (method: 'GET' | 'POST', url: string, options: NetworkRequestOptions | undefined): Promise<NetworkResponse<T>> {
    const { dispatcher, signal, headers: added, extraHeaders, query, now } = this.#options
    try {
      const response = await request(withQuery(url, query), {
        method,
        dispatcher,
        signal,
        headers: requestHeaders({ ...options?.headers, ...added }, extraHeaders),
        body: options?.body ?? null,
      })
      const headers = flatHeaders(response.headers)
      const text = await boundedText(response.body, MAX_BODY)
      const token = tokenOrError(response.statusCode, text, now())
      const body = token['error'] === undefined ? token : tokenOrError(response.statusCode, redact(text, secretsOf(options)), now())
      Object.assign(this.evidence, { status: response.statusCode, retryAfter: headers['retry-after'], body })
      return { status: response.statusCode, headers, body: body as T }
    } catch (error) {
      this.evidence.failure = error
      throw error
    }
  }
}

function withQuery (url: string, query: Readonly<Record<string, string>> = {}): string {
  const whole = new URL(url)
  for (const [name, value] of Object.entries(query)) whole.searchParams.set(name, value)
  return whole.href
}

/** What the request has of its own goes before what the user adds. */
function requestHeaders (own: Record<string, string>, extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const ownNames = new Set(Object.keys(own).map(name => name.toLowerCase()))
  const added = Object.entries(extra).filter(([name]) => !ownNames.has(name.toLowerCase()) && !isReservedHeader(name))
  return { ...own, ...Object.fromEntries(added) }
}

const secretParameters = ['client_secret', 'client_assertion', 'assertion', 'refresh_token']
const secretHeaders = ['x-identity-header', 'secret', 'authorization']

/** What was sent in confidence: an endpoint that echoes it must not get it into an error. */
function secretsOf ({ headers = {}, body = '' }: NetworkRequestOptions = {}): string[] {
  const form = new URLSearchParams(body)
  return [
    ...secretParameters.flatMap(name => form.getAll(name)),
    ...Object.entries(headers).filter(([name]) => secretHeaders.includes(name.toLowerCase())).map(([, value]) => value),
  ]
}

/** MSAL reads `retry-after` in one place and `Retry-After` in another. */
function flatHeaders (headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  const flat = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
  return flat['retry-after'] === undefined ? flat : { ...flat, 'Retry-After': flat['retry-after'] }
}

/**
 * MSAL takes an answer without an error for a token, even an empty one, and loses the status of what is not JSON:
 * so whatever is not a token is given an error.
 */
function tokenOrError (status: number, text: string, now: number): Record<string, unknown> {
  const body = jsonObject(text)
  if (body === undefined) return { error: 'non_json_response', error_description: `HTTP ${status} without a JSON object` }
  if (body['error'] !== undefined) return body
  if (!isSuccess(status)) return { error_description: body['message'] ?? `HTTP ${status}`, ...body, error: `http_${status}` }
  if (typeof body['access_token'] !== 'string' || !/^[\x20-\x7e]+$/.test(body['access_token'])) return { error: 'no_access_token', error_description: `HTTP ${status} without an access token` }
  // Some endpoints leave the type out, or write it in lower case.
  if (!/^bearer$/i.test(String(body['token_type'] ?? 'Bearer'))) return { error: 'no_bearer_token', error_description: `HTTP ${status} with a token of another type than Bearer` }
  return withExpiry({ ...body, token_type: 'Bearer' }, now) ?? { error: 'no_valid_token', error_description: `HTTP ${status} with a token that has ended by the clock of this machine, or does not say when it ends` }
}

function isSuccess (status: number): boolean {
  return status >= 200 && status < 300
}

/**
 * The token with its end in both forms that MSAL reads, by the clock that it reads, which is the system's: for Entra ID the seconds that
 * are left, for managed identity endpoints the seconds since the epoch, where some endpoints write a date, or only what is left.
 * `undefined` when it has ended: MSAL rounds, so that a token without a life could seem to have some.
 */
function withExpiry (body: Record<string, unknown>, now: number): Record<string, unknown> | undefined {
  const { expires_on: expiresOn, expires_in: expiresIn } = body
  const left = expiresOn === undefined ? Number(expiresIn) * 1000 : secondsOf(expiresOn) * 1000 - now
  return left > 0 ? { ...body, expires_on: String(Math.floor((Date.now() + left) / 1000)), expires_in: expiresIn ?? Math.floor(left / 1000) } : undefined
}

function secondsOf (expiresOn: unknown): number {
  return typeof expiresOn === 'string' && !/^\d+$/.test(expiresOn) ? Date.parse(expiresOn) / 1000 : Number(expiresOn)
}
