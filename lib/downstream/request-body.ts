import { Readable } from 'node:stream'
import type { ApiConfiguration } from '../configuration/configuration.ts'
import { isPlain } from '../configuration/freeze.ts'
import { ConfigurationError } from '../errors.ts'
import { copiedForm, isForm, type Form } from './form.ts'

/** What the transport can send. */
export type WireBody = string | Uint8Array | Readable | Form | null

export interface RequestBody {
  readonly body: WireBody
  /** Value of `Content-Type`; `undefined` where the body has none, or brings its own. */
  readonly contentType: string | undefined
}

const noBody: RequestBody = Object.freeze({ body: null, contentType: undefined })
const DEFAULT_CONTENT_TYPE = 'application/json'

/**
 * `content` as it goes over the wire: what is text, bytes, a form or a stream already goes as it is, everything else as JSON.
 *
 * @param isSerialized whether it is what a serializer has made: its text is not JSON by itself
 * @throws ConfigurationError when it cannot be written as JSON
 */
export function requestBody ({ name, contentType }: Pick<ApiConfiguration, 'name' | 'contentType'>, content: unknown, isSerialized = false): RequestBody {
  if (content === undefined || content === null) return noBody
  if (typeof content === 'string') return { body: isSerialized || !isJson(contentType) ? content : toJson(name, content), contentType }
  if (isPlain(content)) return { body: toJson(name, content), contentType }

  // JSON is what the default says of objects; bytes are only called so when the configuration says it of its own accord.
  const ownType = contentType === DEFAULT_CONTENT_TYPE && !isSerialized ? undefined : contentType
  if (content instanceof Readable) return { body: waiting(content), contentType: ownType }
  if (ArrayBuffer.isView(content)) return { body: new Uint8Array(content.buffer, content.byteOffset, content.byteLength), contentType: ownType }
  if (content instanceof ArrayBuffer) return { body: new Uint8Array(content), contentType: ownType }
  if (content instanceof Blob) return { body: fromWeb(content.stream()), contentType: ownType ?? (content.type || undefined) }
  if (content instanceof ReadableStream) return { body: fromWeb(content), contentType: ownType }
  if (content instanceof URLSearchParams) return { body: content.toString(), contentType: 'application/x-www-form-urlencoded;charset=UTF-8' }
  if (isForm(content)) return { body: copiedForm(content), contentType: undefined }
  if (isAsyncIterable(content)) return { body: Readable.from(content), contentType: ownType }
  return { body: toJson(name, content), contentType }
}

/**
 * Whether a body is gone once it has been sent. That of a Blob is made anew.
 *
 * @param content what the body was made of
 * @param body as it was sent; a hook may have put another in
 */
export function canBeSentOnce (content: unknown, body: unknown): boolean {
  return isAsyncIterable(body) && !(content instanceof Blob)
}

/** Whether a media type is JSON: `application/json`, or one that ends in `+json` (RFC 6839 section 3.1), in any letter case. */
export function isJson (mediaType: string): boolean {
  return /^application\/(json|[^;]+\+json)$/i.test(mediaType.split(';', 1)[0]!.trim())
}

function isAsyncIterable (content: unknown): content is AsyncIterable<unknown> {
  return typeof content === 'object' && content !== null && Symbol.asyncIterator in content
}

function fromWeb (stream: ReadableStream): Readable {
  return waiting(Readable.fromWeb(stream as Parameters<typeof Readable.fromWeb>[0]))
}

/** A body that waits to be sent: a stream that breaks off meanwhile must not end the process. It is found broken when it is sent. */
export function waiting<T> (body: T): T {
  if (body instanceof Readable) body.on('error', () => {})
  return body
}

function toJson (name: string, content: unknown): string {
  try {
    const json = JSON.stringify(content)
    if (json === undefined) throw new TypeError(`a ${typeof content} has no JSON form`)
    return json
  } catch (cause) {
    throw new ConfigurationError([`${name}: the input cannot be sent as JSON: ${(cause as Error).message}; set a serializer`], { cause })
  }
}
