import type { Readable } from 'node:stream'
import type { ApiConfiguration } from '../configuration/configuration.ts'
import { DownstreamBodyError, DownstreamStatusError } from '../errors.ts'
import { redact } from '../redact.ts'
import { parseJson } from './downstream-response.ts'
import { isJson } from './request-body.ts'
import type { DownstreamResponse } from './types.ts'

const MAX_ERROR_BODY = 4096

/**
 * What a typed verb gives for an answer.
 *
 * @throws DownstreamStatusError for a status outside 2xx
 * @throws DownstreamBodyError when the body cannot be read as asked
 */
export async function typedBody (response: DownstreamResponse, api: ApiConfiguration, method: string, secrets: readonly string[]): Promise<unknown> {
  if (!response.ok) throw await statusError(response, api.name, secrets)
  if (api.deserializer) return await api.deserializer(response)
  if (method === 'HEAD' || response.status === 204) {
    await response.discard()
    return undefined
  }

  const { responseType } = api
  if (responseType === undefined) return await readByMediaType(response, api.name)
  switch (responseType) {
    case 'stream': return response.body
    case 'arrayBuffer': return await response.arrayBuffer()
    case 'text': return await response.text()
    case 'json': return await readJson(response, api.name, true)
  }
}

async function readByMediaType (response: DownstreamResponse, name: string): Promise<unknown> {
  const mediaType = response.headers.get('content-type')
  if (mediaType !== null && isJson(mediaType)) return await readJson(response, name, false)
  if (mediaType === null || /^text\//i.test(mediaType)) return (await response.text()) || undefined

  if (await isEmpty(response.body)) return undefined
  throw new DownstreamBodyError(`${name} answered with ${mediaType}, which is neither JSON nor text: ask for it as responseType "text", "arrayBuffer" or "stream", or set a deserializer`)
}

async function isEmpty (body: Readable): Promise<boolean> {
  for await (const chunk of body) {
    if ((chunk as Uint8Array).length > 0) return false
  }
  return true
}

async function readJson (response: DownstreamResponse, name: string, mustBeJson: boolean): Promise<unknown> {
  const text = await response.text()
  if (text === '') return undefined

  const mediaType = response.headers.get('content-type')
  if (mustBeJson && mediaType !== null && !isJson(mediaType)) {
    throw new DownstreamBodyError(`${name} answered with ${mediaType}, and was asked for JSON: ask for another responseType, or set a deserializer`)
  }
  return parseJson(text, name)
}

async function statusError (response: DownstreamResponse, name: string, secrets: readonly string[]): Promise<DownstreamStatusError> {
  const headers = new Headers()
  for (const [header, value] of response.headers) headers.append(header, redact(value, secrets))
  const body = await errorBody(response.body, secrets)
  return new DownstreamStatusError(`${name} answered ${response.status}: see error.downstream, or use callApi… to handle any status`, { status: response.status, headers, body })
}

/** The beginning of a body, which the API may have filled with what it was sent. */
async function errorBody (body: Readable, secrets: readonly string[]): Promise<string> {
  // A secret that the cut would go through is only recognised whole.
  const enough = MAX_ERROR_BODY + 1 + Math.max(0, ...secrets.map(secret => secret.length))
  const decoder = new TextDecoder()
  let text = ''
  try {
    for await (const chunk of body) {
      text += decoder.decode(chunk as Uint8Array, { stream: true })
      // Leaving the loop ends the exchange: what is not read is not waited for.
      if (text.length >= enough) break
    }
  } catch {
    // The status is what matters: a body that breaks off is kept as far as it came.
  }
  text = redact(text + decoder.decode(), secrets)
  return text.length > MAX_ERROR_BODY ? `${text.slice(0, MAX_ERROR_BODY)}... (truncated)` : text
}
