import { TokenAcquisitionError } from '../errors.ts'
import type { Clock } from './clock.ts'

/** Failed acquisitions in a row after which an identity provider counts as failing. */
const THRESHOLD = 3
/** Seconds for which a `Retry-After` holds everybody off, at most. */
const LONGEST_HOLD = 30

/** Who failed, as far as it tells something of the identity provider. */
export interface Subject {
  /** The key of the token. */
  readonly key: string
  /** Whether only one user was concerned: the same user failing again says nothing new of the provider. */
  readonly isOfUser: boolean
}

/**
 * Holds callers off an identity provider that is failing.
 *
 * It opens when acquisitions have failed in a row for reasons of the provider's: no answer, or none but a fault. Throttling does not
 * count, since it is meant for those who are throttled. While it is open, one acquisition at a time goes through, as a probe; the others fail
 * at once. So the first acquisition after a fault has gone finds that out.
 */
export class Circuit {
  readonly #clock: Clock
  #failures: string[] = []
  #lastError: TokenAcquisitionError | undefined
  #probing = false
  /** On {@link Clock.elapsed}. */
  #heldUntil = 0

  constructor (clock: Clock) {
    this.#clock = clock
  }

  get isOpen (): boolean {
    return this.#failures.length >= THRESHOLD
  }

  /**
   * The outcome of `acquire`, when it may be made.
   *
   * @throws TokenAcquisitionError at once while the provider is failing and another acquisition is finding out whether it still is
   */
  async run<T> (subject: Subject, acquire: () => Promise<T>): Promise<T> {
    if (!this.isOpen) return this.#observed(subject, acquire)

    const wait = this.#heldUntil - this.#clock.elapsed()
    if (this.#probing || wait > 0) throw this.#failFast(wait)
    this.#probing = true
    try {
      return await this.#observed(subject, acquire)
    } finally {
      this.#probing = false
    }
  }

  async #observed<T> (subject: Subject, acquire: () => Promise<T>): Promise<T> {
    try {
      const outcome = await acquire()
      this.#failures = []
      return outcome
    } catch (error) {
      if (error instanceof TokenAcquisitionError) this.#note(subject, error)
      throw error
    }
  }

  #note ({ key, isOfUser }: Subject, error: TokenAcquisitionError): void {
    // A refusal is an answer: the provider works. Without a status, nobody was asked.
    if (!error.retryable && error.status !== undefined) this.#failures = []
    if (!error.retryable || error.status === 429) return
    this.#lastError = error
    this.#heldUntil = this.#clock.elapsed() + Math.min(error.retryAfter ?? 0, LONGEST_HOLD) * 1000
    if (!(isOfUser && this.#failures.includes(key)) && !this.isOpen) this.#failures.push(key)
  }

  #failFast (wait: number): TokenAcquisitionError {
    return new TokenAcquisitionError(
      'No token: the identity provider has been failing, and another acquisition is finding out whether it still is. Try again later',
      { retryable: true, retryAfter: Math.max(1, Math.ceil(wait / 1000)) }, { cause: this.#lastError })
  }
}
