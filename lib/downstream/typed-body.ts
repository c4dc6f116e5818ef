import type { ApiConfiguration } from '../configuration/configuration.ts'
import { DownstreamBodyError, DownstreamStatusError } from '../errors.ts'
import { redact } from '../redact.ts'
import { headerValue, isPlainJson } from './answer-headers.ts'
import { parseJson, toArrayBuffer, toHeaders, toText } from './downstream-response.ts'
import type { Exchange } from './exchange.ts'
import { isJson } from './request-body.ts'

const MAX_ERROR_BODY = 4096

/**
 * What a typed verb gives for the body of a 2xx answer.
 *
 * @throws DownstreamBodyError when the body cannot be read as asked
 */
export function typedBody ({ status, headers }: Pick<Exchange, 'status' | 'headers'>, body: Buffer, { name, responseType }: Pick<ApiConfiguration, 'name' | 'responseType'>, method: string): unknown {
  if (method === 'HEAD' || status === 204) return undefined
  if (responseType === 'arrayBuffer') return toArrayBuffer(body)
  if (responseType === 'text') return toText(body)
  if (body.length === 0) return undefined

  if (isPlainJson(headers)) return parseJson(toText(body), name)
  const mediaType = headerValue(headers, 'content-type')
  if (mediaType === undefined) return responseType === 'json' ? parseJson(toText(body), name) : toText(body)
  if (isJson(mediaType)) return parseJson(toText(body), name)
  if (responseType === 'json') throw new DownstreamBodyError(`${name} answered with ${mediaType}, and was asked for JSON: ask for another responseType, or set a deserializer`)
  if (/^text\//i.test(mediaType)) return toText(body)
  throw new DownstreamBodyError(`${name} answered with ${mediaType}, which is neither JSON nor text: ask for it as responseType "text", "arrayBuffer" or "stream", or set a deserializer`)
}

/** How much of the body of an error is waited for: a secret that the cut would go through is only recognised whole. */
export function errorBodyLimit (secrets: readonly string[]): number {
  return 4 * MAX_ERROR_BODY + Math.max(0, ...secrets.map(secret => secret.length))
}

/** What a typed verb throws for a status outside 2xx. The API may have filled the answer with what it was sent. */
export function statusError ({ status, headers: raw }: Pick<Exchange, 'status' | 'headers'>, body: Buffer, name: string, secrets: readonly string[]): DownstreamStatusError {
  const headers = new Headers()
  for (const [header, value] of toHeaders(raw)) headers.append(header, redact(value, secrets))
  const text = redact(toText(body), secrets)
  return new DownstreamStatusError(`${name} answered ${status}: see error.downstream, or use callApi… to handle any status`, {
    status,
    headers,
    body: text.length > MAX_ERROR_BODY ? `${text.slice(0, MAX_ERROR_BODY)}... (truncated)` : text,
  })
}
