import type { CryptoKey } from 'jose'
import type { Clock } from '../tokens/clock.ts'

/** A key that tokens may be signed with. */
export interface SigningKey {
  readonly kid: string
  readonly key: CryptoKey
  /** The issuer whose tokens it signs; `{tenantid}` in it stands for any tenant. `undefined` where the authority does not say. */
  readonly issuer: string | undefined
  /** The public key as text: another one under the same name is another key. */
  readonly modulus: string
  /** Whether the authority still published it when it was asked last. */
  isPublished: boolean
}

/** What an authority publishes. */
export type PublishedKeys = readonly Omit<SigningKey, 'isPublished'>[]

export interface SigningKeysOptions {
  readonly clock: Clock
  /** Asks the authority; rejects where there are none. */
  readonly fetch: () => Promise<PublishedKeys>
  /** They could not be fetched. */
  readonly onFailure: (error: unknown) => void
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
/** Age from which on keys are fetched in the background. */
const DUE = 45 * MINUTE
/** Age from which on keys are fetched before they are used: what has been taken out works no longer than that. */
const MAX_AGE = HOUR
/** Age to which the last good keys are used while the authority cannot be asked. */
const MAX_STALE = 24 * HOUR
/** For which an unknown `kid` does not lead to another request. */
const COOLDOWN = 30 * SECOND
const FIRST_BACK_OFF = SECOND
/** For which an authority that has failed is not waited for again, where there are keys that may be used meanwhile. */
const PATIENCE = MINUTE

/**
 * The keys of one authority, fetched once for all who want them.
 *
 * Nothing is remembered of a key that is not there: no flood of made-up names fills the memory, and one that is published later works.
 */
export class SigningKeys {
  readonly #options: SigningKeysOptions
  #keys: ReadonlyMap<string, SigningKey> | undefined
  #fetching: Promise<void> | undefined
  /** On {@link Clock.elapsed}. */
  #fetchedAt = -Infinity
  /** On {@link Clock.elapsed}: when they may be asked for again. */
  #notBefore = -Infinity
  #failures = 0
  /** On {@link Clock.elapsed}. */
  #failedAt = -Infinity

  constructor (options: SigningKeysOptions) {
    this.#options = options
  }

  /** Whether the keys at hand are young enough to be used as they are; asks for newer ones in the background when they are due. */
  get areFresh (): boolean {
    const age = this.#age
    if (age >= DUE) this.#fetchInBackground()
    return age < MAX_AGE
  }

  /** Fetches newer keys unless those at hand are fresh, or the authority has just been asked. While it fails, nobody waits for it who has keys to go on with. Never rejects. */
  async refresh (): Promise<void> {
    if (this.areFresh) return
    const fetching = this.#fetchAgain()
    const isFailing = this.#options.clock.elapsed() - this.#failedAt < PATIENCE
    if (!isFailing || this.#age >= MAX_STALE) await fetching
  }

  /** The key of that name, where that can be said without asking. */
  known (kid: unknown): SigningKey | undefined {
    return this.areFresh ? this.#keys?.get(kid as string) : undefined
  }

  /**
   * The key of that name; `undefined` where the authority has none.
   *
   * @throws when no keys are at hand that may be used
   */
  async find (kid: string): Promise<SigningKey | undefined> {
    await this.refresh()
    const known = this.#usable.get(kid)
    if (known !== undefined) return known
    // Another request may tell of a key that is new.
    await this.#fetchAgain()
    return this.#usable.get(kid)
  }

  /** Whether what was verified with the key still holds: the authority publishes it, or was asked last within the time for which it need not answer. */
  mayUse (key: SigningKey): boolean {
    return key.isPublished && this.#age < MAX_STALE
  }

  get #age (): number {
    return this.#options.clock.elapsed() - this.#fetchedAt
  }

  get #usable (): ReadonlyMap<string, SigningKey> {
    if (this.#keys === undefined || this.#age >= MAX_STALE) throw new Error('the keys of the authority could not be fetched')
    return this.#keys
  }

  #fetchInBackground (): void {
    this.#fetchAgain()
  }

  /** One request at a time, and none before its time. */
  #fetchAgain (): Promise<void> {
    if (this.#fetching !== undefined) return this.#fetching
    if (this.#options.clock.elapsed() < this.#notBefore) return Promise.resolve()
    this.#fetching = this.#fetch().finally(() => { this.#fetching = undefined })
    return this.#fetching
  }

  async #fetch (): Promise<void> {
    const { clock, fetch, onFailure } = this.#options
    try {
      this.#replace(await fetch())
      this.#fetchedAt = clock.elapsed()
      this.#failures = 0
      this.#notBefore = clock.elapsed() + COOLDOWN
    } catch (error) {
      this.#failedAt = clock.elapsed()
      this.#notBefore = clock.elapsed() + Math.min(FIRST_BACK_OFF * 2 ** this.#failures++, COOLDOWN)
      onFailure(error)
    }
  }

  /** A key that stays is the same object, so that what it has verified stays so. */
  #replace (published: PublishedKeys): void {
    const before = this.#keys
    const keys = new Map<string, SigningKey>()
    for (const key of published) {
      const known = before?.get(key.kid)
      keys.set(key.kid, known?.modulus === key.modulus && known.issuer === key.issuer ? known : { ...key, isPublished: true })
    }
    for (const key of before?.values() ?? []) key.isPublished = keys.get(key.kid) === key
    this.#keys = keys
  }
}
