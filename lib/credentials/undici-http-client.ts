import type { Dispatcher } from 'undici'

// The part of the Azure SDK's HttpClient (`@azure/core-rest-pipeline`) that reading a secret needs; its types are not ours to depend on.

interface PipelineHeaders extends Iterable<[string, string]> {
  get (name: string): string | undefined
  has (name: string): boolean
  set (name: string, value: string | number | boolean): void
  delete (name: string): void
  toJSON (options?: { preserveCase?: boolean }): Record<string, string>
}

interface PipelineRequest {
  readonly url: string
  readonly method: string
  readonly headers: PipelineHeaders
}

const LARGEST = 1024 * 1024

/** Carries the requests of an Azure SDK client over undici: they have no body, and their answers are small. */
export class UndiciHttpClient {
  readonly #dispatcher: Dispatcher
  readonly #signal: AbortSignal

  /** @param signal ends every request */
  constructor (dispatcher: Dispatcher, signal: AbortSignal) {
    this.#dispatcher = dispatcher
    this.#signal = signal
  }

  async sendRequest<T extends PipelineRequest> (request: T): Promise<{ request: T, status: number, headers: PipelineHeaders, bodyAsText: string }> {
    const { request: send } = await import('undici')
    const { url, method, headers } = request
    // The SDK asks for compressed answers, and leaves it to its own client to read them.
    const asked = { ...headers.toJSON(), 'accept-encoding': 'identity' }
    const { statusCode, headers: answered, body } = await send(url, { method: method as Dispatcher.HttpMethod, headers: asked, dispatcher: this.#dispatcher, signal: this.#signal })
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length
      // Leaving the loop ends the answer.
      if (size > LARGEST) throw new Error('the answer is too large')
      chunks.push(chunk)
    }
    return { request, status: statusCode, headers: new AnswerHeaders(answered), bodyAsText: Buffer.concat(chunks).toString() }
  }
}

/** Headers in the form that the SDK reads. */
class AnswerHeaders implements PipelineHeaders {
  readonly #headers = new Headers()

  constructor (headers: Readonly<Record<string, string | string[] | undefined>>) {
    for (const [name, value] of Object.entries(headers)) this.#headers.set(name, String(value))
  }

  get (name: string): string | undefined {
    return this.#headers.get(name) ?? undefined
  }

  has (name: string): boolean {
    return this.#headers.has(name)
  }

  set (name: string, value: string | number | boolean): void {
    this.#headers.set(name, String(value))
  }

  delete (name: string): void {
    this.#headers.delete(name)
  }

  toJSON (): Record<string, string> {
    return Object.fromEntries(this.#headers)
  }

  [Symbol.iterator] (): Iterator<[string, string]> {
    return this.#headers[Symbol.iterator]()
  }
}
