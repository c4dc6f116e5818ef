/** A request that is not answered with what it asks for. Each endpoint has its own way to say so. */
export class Refusal extends Error {
  /** HTTP status of the answer. */
  readonly status: number
  /** OAuth's name of the error. */
  readonly error: string
  /** AADSTS numbers; empty where the endpoint has none. */
  readonly errorCodes: readonly number[]

  constructor (status: number, error: string, message: string, errorCodes: readonly number[] = []) {
    super(message)
    this.status = status
    this.error = error
    this.errorCodes = errorCodes
  }
}
