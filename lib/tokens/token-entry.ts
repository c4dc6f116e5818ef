import type { Clock } from './clock.ts'
import { overdueDelay, renewalBackOff, renewalDelay } from './renewal-schedule.ts'
import type { TokenDescription } from './token-request.ts'
import type { Token, TokenSource } from './token.ts'

/** How old a token is: given as it is, given while it is renewed in the background, or not given any more. */
export type TokenAge = 'fresh' | 'due' | 'expired'

export interface TokenEntryOptions {
  readonly description: TokenDescription
  readonly source: TokenSource
  /** Counts the acquisitions, in the order in which they began. */
  readonly number: number
  /** How many callers waited for it beside the one who asked. */
  readonly joins: number
  /** The entry that it replaces. */
  readonly before?: TokenEntry | undefined
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
}

/**
 * Milliseconds before its end from which on a token is not given, since it must outlive the call; a fiftieth of a short life.
 * Where its renewal has failed, it is given to its very end.
 */
const MARGIN = 5_000

/**
 * A token at hand, and when it is renewed.
 *
 * Its life runs on both clocks: neither a clock that somebody sets back nor a machine that slept makes a token live longer.
 */
export class TokenEntry {
  readonly token: Token
  /** How often it was given. */
  hits = 0
  /** Failed renewals in a row. */
  failures = 0
  /** How often its renewal was left to another process, since it was last tried. */
  looks = 0
  lastError: unknown
  /** Which it is in a row of tokens that were to be renewed before they came; 0 for one that came in time. */
  readonly overdue: number
  readonly #options: TokenEntryOptions
  /** Milliseconds before its end from which on it is not given. */
  readonly #margin: number
  /** On {@link Clock.elapsed}. */
  readonly #elapsedAtEnd: number
  /** On {@link Clock.elapsed}. */
  #renewAt: number

  constructor (token: Token, options: TokenEntryOptions) {
    const { before, clock, random } = options
    const now = clock.now()
    const elapsed = clock.elapsed()
    const life = token.expiresOn - now
    this.token = token
    // Without the entry before, which would hold the one before that, and so on.
    this.#options = { ...options, before: undefined }
    this.#margin = Math.min(MARGIN, life / 50)
    this.#elapsedAtEnd = elapsed + life
    const refreshIn = token.refreshOn === undefined ? undefined : token.refreshOn - now
    this.overdue = refreshIn !== undefined && refreshIn <= 0 ? (before?.overdue ?? 0) + 1 : 0
    this.#renewAt = elapsed + (this.overdue > 0 ? overdueDelay(life, this.overdue, random) : renewalDelay(life, refreshIn, random))
  }

  get description (): TokenDescription {
    return this.#options.description
  }

  get source (): TokenSource {
    return this.#options.source
  }

  get number (): number {
    return this.#options.number
  }

  get joins (): number {
    return this.#options.joins
  }

  get age (): TokenAge {
    if (this.left <= (this.failures > 0 ? 0 : this.#margin)) return 'expired'
    return this.#options.clock.elapsed() >= this.#renewAt ? 'due' : 'fresh'
  }

  /** Milliseconds for which the identity provider still vouches for it, by the clock that leaves less. */
  get left (): number {
    const { clock } = this.#options
    return Math.min(this.#elapsedAtEnd - clock.elapsed(), this.token.expiresOn - clock.now())
  }

  /** When it is renewed next, in milliseconds since the epoch. */
  get renewOn (): number {
    const { clock } = this.#options
    return clock.now() + this.#renewAt - clock.elapsed()
  }

  /**
   * Puts the renewal off, further with every failure.
   *
   * @returns `false` when it has been put off already, for another who waited for the same renewal
   */
  renewalFailed (error: unknown, retryAfter: number | undefined): boolean {
    const elapsed = this.#options.clock.elapsed()
    if (this.failures > 0 && elapsed < this.#renewAt) return false
    this.lastError = error
    this.failures++
    this.looks = 0
    this.#renewAt = elapsed + renewalBackOff(this.failures, retryAfter, this.#options.random)
    return true
  }

  /** Puts the renewal off for `delay` milliseconds: another process is at it. */
  renewLater (delay: number): void {
    this.looks++
    this.#renewAt = this.#options.clock.elapsed() + delay
  }
}
