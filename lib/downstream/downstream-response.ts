import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { DownstreamBodyError } from '../errors.ts'
import { headerValues, type AnswerHeaders } from './answer-headers.ts'
import type { Exchange } from './exchange.ts'
import type { DownstreamResponse } from './types.ts'

/** How much of a body that nobody wants is read away to keep the connection, in bytes and milliseconds; what takes more costs it. */
const DISCARD_LIMIT = 131_072
const DISCARD_TIME = 1_000

/** The answer of a downstream API; it is not more of its body in memory than was asked for, and a little ahead. */
export class StreamingResponse implements DownstreamResponse {
  readonly status: number
  readonly url: string
  readonly #exchange: Exchange
  readonly #name: string
  #headers: Headers | undefined

  constructor (name: string, url: string, exchange: Exchange) {
    this.status = exchange.status
    this.url = url
    this.#name = name
    this.#exchange = exchange
  }

  get ok (): boolean {
    return this.#exchange.ok
  }

  get headers (): Headers {
    return (this.#headers ??= toHeaders(this.#exchange.headers))
  }

  get body (): Readable {
    return this.#exchange.takeStream()
  }

  async json (): Promise<unknown> {
    return parseJson(await this.text(), this.#name)
  }

  text (): Promise<string> {
    return this.#whole(toText)
  }

  arrayBuffer (): Promise<ArrayBuffer> {
    return this.#whole(toArrayBuffer)
  }

  discard (): Promise<void> {
    const timer = setTimeout(() => this.#exchange.end(new Error('the body is not wanted')), DISCARD_TIME)
    const discarded = this.#whole(() => {}, DISCARD_LIMIT)
    return discarded.catch((error: unknown) => {
      if (error instanceof TypeError) throw error
    }).finally(() => clearTimeout(timer))
  }

  #whole<T> (read: (body: Buffer) => T, limit?: number): Promise<T> {
    if (this.#exchange.taken !== undefined) return this.#wholeOfStream(read)
    return new Promise((resolve, reject) => {
      this.#exchange.takeWhole((error, body) => {
        if (error !== undefined) reject(error)
        else resolve(read(body))
      }, limit)
    })
  }

  /** Whoever has only looked at {@link body} may still read it otherwise. */
  async #wholeOfStream<T> (read: (body: Buffer) => T): Promise<T> {
    const stream = this.#exchange.taken === 'stream' ? this.body : undefined
    if (stream === undefined || stream.readableDidRead) throw new TypeError(`the body of the answer of ${this.#name} has been read already`)
    return read(await buffer(stream))
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

/** The text of a body in UTF-8, without a byte order mark. */
export function toText (body: Buffer): string {
  const text = body.toString()
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
}

export function toArrayBuffer ({ buffer, byteOffset, byteLength }: Buffer): ArrayBuffer {
  return buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer
}

export function toHeaders (raw: AnswerHeaders): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(headerValues(raw))) {
    for (const item of [value].flat()) headers.append(name, item!)
  }
  return headers
}
