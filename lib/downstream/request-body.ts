import { Readable } from 'node:stream'
import { FormData } from 'undici'
import type { ApiConfiguration } from '../configuration/configuration.ts'
import { ConfigurationError } from '../errors.ts'

/** What undici can send. */
export type WireBody = string | Uint8Array | Readable | FormData | null

export interface RequestBody {
  readonly body: WireBody
  /** Value of `Content-Type`; `undefined` where the body has none, or brings its own. */
  readonly contentType: string | undefined
}

const noBody: RequestBody = Object.freeze({ body: null, contentType: undefined })
const DEFAULT_CONTENT_TYPE = 'application/json'

/**
 * `input` as it goes over the wire: what is text, bytes, a form or a stream already goes as it is, everything else as JSON.
 *
 * @throws ConfigurationError when it cannot be written as JSON
 */
export function requestBody (api: Pick<ApiConfiguration, 'name' | 'contentType' | 'serializer'>, input: unknown): RequestBody {
  const { contentType, serializer } = api
  const content = serializer && input !== undefined && input !== null ? serializer(input) : input
  if (content === undefined || content === null) return noBody

  // JSON is what the default says of objects; bytes are only called so when the configuration says it of its own accord.
  const ownType = contentType === DEFAULT_CONTENT_TYPE && !serializer ? undefined : contentType
  if (content instanceof Uint8Array || content instanceof Readable) return { body: content, contentType: ownType }
  if (content instanceof ArrayBuffer) return { body: new Uint8Array(content), contentType: ownType }
  if (content instanceof ReadableStream) return { body: Readable.fromWeb(content as Parameters<typeof Readable.fromWeb>[0]), contentType: ownType }
  if (content instanceof URLSearchParams) return { body: content.toString(), contentType: 'application/x-www-form-urlencoded;charset=UTF-8' }
  if (content instanceof globalThis.FormData || content instanceof FormData) return { body: undiciForm(content), contentType: undefined }
  if (typeof content === 'string' && (serializer || !isJson(contentType))) return { body: content, contentType }
  return { body: toJson(api.name, content), contentType }
}

/** Whether a media type is JSON: `application/json`, or one that ends in `+json` (RFC 6839 section 3.1), in any letter case. */
export function isJson (mediaType: string): boolean {
  return /^application\/(json|[^;]+\+json)$/i.test(mediaType.split(';', 1)[0]!.trim())
}

/** Node's own FormData is another class than undici's, and undici sends its own only. */
function undiciForm (form: Iterable<[string, unknown]>): FormData {
  if (form instanceof FormData) return form
  const copy = new FormData()
  for (const [name, value] of form) copy.append(name, value)
  return copy
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
