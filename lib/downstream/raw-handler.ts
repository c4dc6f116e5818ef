import type { Controller, Exchange } from './exchange.ts'

/**
 * Lets an exchange listen to the transport's own connections in the way that undici's clients speak inside: with headers as they came
 * over the wire, which most calls ask for one of. A dispatcher that somebody else brings is listened to in the documented way.
 */
export class RawHandler implements Controller {
  readonly #exchange: Exchange
  #isPaused = false
  #abort: ((reason: Error) => void) | undefined
  #resume: (() => void) | undefined

  constructor (exchange: Exchange) {
    this.#exchange = exchange
  }

  abort (reason: Error): void {
    this.#abort!(reason)
  }

  pause (): void {
    this.#isPaused = true
  }

  resume (): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#resume!()
  }

  onConnect (abort: (reason: Error) => void): void {
    this.#abort = abort
    this.#exchange.onRequestStart(this)
  }

  onHeaders (status: number, headers: Buffer[], resume: () => void): boolean {
    this.#resume = resume
    this.#exchange.onResponseStart(this, status, headers)
    return !this.#isPaused
  }

  onData (chunk: Buffer): boolean {
    this.#exchange.onResponseData(this, chunk)
    return !this.#isPaused
  }

  onComplete (): void {
    this.#exchange.onResponseEnd()
  }

  onError (error: Error): void {
    this.#exchange.onResponseError(undefined, error)
  }
}
