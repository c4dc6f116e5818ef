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
  /** When what was exchanged for it ends, in milliseconds since the epoch; `undefined` where it can be renewed whenever. */
  readonly endsOn?: number | undefined
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

/** Milliseconds that a newer token must live longer, where what is exchanged for it ends too. */
const WORTH_RENEWING = 60_000

/**
 * A token at hand, and when it is renewed.
 *
 * Its life runs on both clocks: neither a clock that somebody sets back nor a machine that slept makes a token live longer.
 */
export class TokenEntry {
  // What a hit reads stands first, and is small: where there are many tokens, memory is most of what a hit costs.
  readonly token: Token
  /** How often it was given. */
  hits = 0
  /** The engine in whose cache it is. */
  keptBy: object | undefined
  /** The era of the engine in which it was last looked up there. */
  usedIn = 0
  // Until when it is fresh on either clock, in whole seconds: small integers are in the object itself.
  #freshUntilElapsed = 0
  #freshUntilNow = 0
  readonly description: TokenDescription
  readonly source: TokenSource
  readonly number: number
  readonly joins: number
  /** Failed renewals in a row. */
  failures = 0
  /** How often its renewal was left to another process, since it was last tried. */
  looks = 0
  lastError: unknown
  /** Which it is in a row of tokens that were to be renewed before they came; 0 for one that came in time. */
  readonly overdue: number
  readonly #clock: Clock
  readonly #random: () => number
  /** Milliseconds before its end from which on it is not given. */
  readonly #margin: number
  /** On {@link Clock.elapsed}. */
  readonly #elapsedAtEnd: number
  /** On {@link Clock.elapsed}. */
  #renewAt: number

  constructor (token: Token, { description, source, number, joins, endsOn = Infinity, before, clock, random }: TokenEntryOptions) {
    const now = clock.now()
    const elapsed = clock.elapsed()
    const life = token.expiresOn - now
    this.token = token
    this.description = description
    this.source = source
    this.number = number
    this.joins = joins
    this.#clock = clock
    this.#random = random
    this.#margin = Math.min(MARGIN, life / 50)
    this.#elapsedAtEnd = elapsed + life
    const refreshIn = token.refreshOn === undefined ? undefined : token.refreshOn - now
    this.overdue = refreshIn !== undefined && refreshIn <= 0 ? (before?.overdue ?? 0) + 1 : 0
    const isLast = endsOn - token.expiresOn < WORTH_RENEWING
    this.#renewAt = isLast ? Infinity : elapsed + (this.overdue > 0 ? overdueDelay(life, this.overdue, random) : renewalDelay(life, refreshIn, random))
    this.#noteFreshness()
  }

  /** @param elapsed on {@link Clock.elapsed} */
  isFresh (elapsed: number, now: number): boolean {
    return (elapsed < this.#freshUntilElapsed * 1000 && now < this.#freshUntilNow * 1000) || this.age === 'fresh'
  }

  get age (): TokenAge {
    if (this.left <= this.#unusable) return 'expired'
    return this.#clock.elapsed() >= this.#renewAt ? 'due' : 'fresh'
  }

  /** Milliseconds for which the identity provider still vouches for it, by the clock that leaves less. */
  get left (): number {
    return Math.min(this.#elapsedAtEnd - this.#clock.elapsed(), this.token.expiresOn - this.#clock.now())
  }

  /** When it is renewed next, in milliseconds since the epoch; infinite where it is the last. */
  get renewOn (): number {
    return this.#clock.now() + this.#renewAt - this.#clock.elapsed()
  }

  /**
   * Puts the renewal off, further with every failure.
   *
   * @returns `false` when it has been put off already, for another who waited for the same renewal
   */
  renewalFailed (error: unknown, retryAfter: number | undefined): boolean {
    const elapsed = this.#clock.elapsed()
    if (this.failures > 0 && elapsed < this.#renewAt) return false
    this.lastError = error
    this.failures++
    this.looks = 0
    this.#renewAt = elapsed + renewalBackOff(this.failures, retryAfter, this.#random)
    this.#noteFreshness()
    return true
  }

  /** Puts the renewal off for `delay` milliseconds: another process is at it. */
  renewLater (delay: number): void {
    this.looks++
    this.#renewAt = this.#clock.elapsed() + delay
    this.#noteFreshness()
  }

  /** Milliseconds before its end from which on it is not given: where its renewal has failed, it is given to the end. */
  get #unusable (): number {
    return this.failures > 0 ? 0 : this.#margin
  }

  #noteFreshness (): void {
    this.#freshUntilElapsed = Math.floor(Math.min(this.#renewAt, this.#elapsedAtEnd - this.#unusable) / 1000)
    this.#freshUntilNow = Math.floor((this.token.expiresOn - this.#unusable) / 1000)
  }
}
