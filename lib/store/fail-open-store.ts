import type { Logger } from '../logger.ts'
import type { Clock } from '../tokens/clock.ts'
import { failureReason } from './failure-reason.ts'
import type { TokenStore } from './token-store.ts'

/** Milliseconds that one operation may take. */
export const OPERATION_TIMEOUT = 250
/** Milliseconds for which an operation that failed is left alone: at first, and at most. */
const FIRST_REST = 500
const LONGEST_REST = 15_000

/** An operation of the store, as it works or does not. */
interface Health {
  /** In a row. */
  failures: number
  /** On {@link Clock.elapsed}. */
  restsUntil: number
  isProbing: boolean
}

/**
 * A token store that never fails: an operation that fails, or takes longer than {@link OPERATION_TIMEOUT}, gives `undefined`.
 *
 * After a failure the operation is left alone for a while, longer with every further one; then one call at a time finds out whether it works.
 * The others go on, as a store that is full can still be read; but where reading fails, nothing else is tried.
 * An outage is told once, when the first operation fails, and so is its end, when each that failed has succeeded.
 */
export class FailOpenStore {
  readonly #store: TokenStore
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #healths: Readonly<Record<keyof TokenStore, Health>> = { get: healthy(), set: healthy(), delete: healthy(), setIfAbsent: healthy(), ttl: healthy() }
  #isClosed = false

  constructor (store: TokenStore, { clock, logger }: { clock: Clock, logger: Logger }) {
    this.#store = store
    this.#clock = clock
    this.#logger = logger
  }

  /** Whatever the store gives. */
  get (name: string): Promise<unknown> {
    return this.#attempt(this.#healths.get, () => this.#store.get(name))
  }

  async set (name: string, value: string, ttl: number): Promise<void> {
    await this.#attemptWhereRead('set', name, () => this.#store.set(name, value, ttl))
  }

  async delete (name: string): Promise<void> {
    await this.#attemptWhereRead('delete', name, () => this.#store.delete(name))
  }

  /** `undefined` also where the store cannot tell. */
  async setIfAbsent (name: string, value: string, ttl: number): Promise<boolean | undefined> {
    if (this.#store.setIfAbsent === undefined) return undefined
    const isSet: unknown = await this.#attemptWhereRead('setIfAbsent', name, () => this.#store.setIfAbsent!(name, value, ttl))
    return isSet === undefined ? undefined : Boolean(isSet)
  }

  /** `undefined` also where the store cannot tell, or the value stays. */
  async ttl (name: string): Promise<number | undefined> {
    if (this.#store.ttl === undefined) return undefined
    const ttl: unknown = await this.#attemptWhereRead('ttl', name, () => this.#store.ttl!(name))
    return typeof ttl === 'number' && ttl >= 0 ? ttl : undefined
  }

  /** From now on the store is left alone, and nothing of it is told. */
  close (): void {
    this.#isClosed = true
  }

  async #attemptWhereRead<T> (kind: keyof TokenStore, name: string, operation: () => Promise<T>): Promise<T | undefined> {
    if (this.#healths.get.failures > 0) await this.get(name)
    return this.#healths.get.failures > 0 ? undefined : this.#attempt(this.#healths[kind], operation)
  }

  async #attempt<T> (health: Health, operation: () => Promise<T>): Promise<T | undefined> {
    if (this.#isClosed) return undefined
    if (health.failures === 0) return this.#observed(health, operation, false)
    if (health.isProbing || this.#clock.elapsed() < health.restsUntil) return undefined

    health.isProbing = true
    const outcome = await this.#observed(health, operation, true)
    health.isProbing = false
    return outcome
  }

  async #observed<T> (health: Health, operation: () => Promise<T>, isProbe: boolean): Promise<T | undefined> {
    try {
      const outcome = await this.#inTime(operation)
      if (isProbe) this.#works(health)
      return outcome
    } catch (error) {
      // Calls that were under way when another failed say nothing new.
      if (isProbe || health.failures === 0) this.#failed(health, error)
      return undefined
    }
  }

  #works (health: Health): void {
    const wasOutage = this.#isOutage
    health.failures = 0
    if (wasOutage && !this.#isOutage && !this.#isClosed) this.#logger.info('the token store works again')
  }

  #failed (health: Health, error: unknown): void {
    const wasOutage = this.#isOutage
    health.restsUntil = this.#clock.elapsed() + Math.min(FIRST_REST * 2 ** health.failures, LONGEST_REST)
    health.failures++
    if (!wasOutage && this.#isOutage && !this.#isClosed) this.#logger.warn({ reason: failureReason(error) }, 'the token store does not work: tokens are not shared until it does')
  }

  /** Removing is no part of it: what is not removed ends by itself, and is seldom removed, so that its recovery could stay unseen for long. */
  get #isOutage (): boolean {
    const { get, set, setIfAbsent, ttl } = this.#healths
    return [get, set, setIfAbsent, ttl].some(({ failures }) => failures > 0)
  }

  #inTime<T> (operation: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(OPERATION_TIMEOUT, () => reject(new Error(`no answer within ${OPERATION_TIMEOUT} ms`)))
      // A store may throw as well as reject.
      const outcome = (async () => operation())()
      outcome.then(resolve, reject).finally(cancel)
    })
  }
}

function healthy (): Health {
  return { failures: 0, restsUntil: 0, isProbing: false }
}
