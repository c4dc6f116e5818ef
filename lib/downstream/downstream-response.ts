import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { DownstreamBodyError } from '../errors.ts'
import type { CallDeadline } from './call-deadline.ts'
import { toDownstreamError } from './downstream-error.ts'
import type { DownstreamResponse } from './types.ts'

/** The answer of a downstream API; nothing of its body is read before it is asked for. */
export class StreamingResponse implements DownstreamResponse {
  readonly status: number
  readonly url: string
  readonly #data: Dispatcher.ResponseData
  readonly #name: string
  readonly #deadline: CallDeadline
  #headers: Headers | undefined

  constructor (name: string, url: string, data: Dispatcher.ResponseData, deadline: CallDeadline) {
    this.status = data.statusCode
    this.url = url
    this.#name = name
    this.#data = data
    this.#deadline = deadline
    data.body.once('close', () => deadline.release())
    // A body that nobody reads must not end the process when it breaks off.
    data.body.on('error', () => {})
  }

  get ok (): boolean {
    return this.status >= 200 && this.status < 300
  }

  get headers (): Headers {
    return (this.#headers ??= toHeaders(this.#data.headers))
  }

  get body (): Readable {
    return this.#data.body
  }

  async json (): Promise<unknown> {
    return parseJson(await this.text(), this.#name)
  }

  text (): Promise<string> {
    return this.#read(() => this.#data.body.text())
  }

  arrayBuffer (): Promise<ArrayBuffer> {
    return this.#read(() => this.#data.body.arrayBuffer())
  }

  async discard (): Promise<void> {
    await this.#read(() => this.#data.body.dump())
  }

  async #read<T> (read: () => Promise<T>): Promise<T> {
    if (this.#data.body.bodyUsed) throw new TypeError(`the body of the answer of ${this.#name} has been read already`)
    try {
      return await read()
    } catch (error) {
      throw toDownstreamError(error, this.#name, this.#deadline.signal)
    }
  }
}

/** @throws DownstreamBodyError */
export function parseJson (text: string, name: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    // V8 quotes from the text, which may hold a secret.
    const cause = new SyntaxError((error as SyntaxError).message.replace(/(\.{3})?".*?"(\.{3})?(?= is not valid JSON)/s, 'the text').replace(/^Unexpected token .*?,/s, 'Unexpected token,'))
    throw new DownstreamBodyError(`${name} answered with a body that is not JSON: ask for it as responseType "text", or set a deserializer`, { cause })
  }
}

function toHeaders (raw: Dispatcher.ResponseData['headers']): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(raw as Record<string, string | string[]>)) {
    for (const item of [value].flat()) headers.append(name, item)
  }
  return headers
}
