import type { Logger } from '../logger.ts'
import type { Clock } from '../tokens/clock.ts'
import { failureReason } from './failure-reason.ts'
import type { TokenStore } from './token-store.ts'

/** Milliseconds that one operation may take. */
export const OPERATION_TIMEOUT = 250
/** Milliseconds for which a store that failed is left alone: at first, and at most. */
const FIRST_REST = 500
const LONGEST_REST = 15_000

/**
 * A token store that never fails and never keeps anybody waiting: an operation that fails, or takes too long, gives `undefined`.
 *
 * After a failure the store is left alone for a while, longer with every further one; then one operation at a time finds out whether it works.
 * An outage is told once, and so is its end.
 */
export class FailOpenStore {
  readonly #store: TokenStore
  readonly #clock: Clock
  readonly #logger: Logger
  /** In a row. */
  #failures = 0
  /** On {@link Clock.elapsed}. */
  #restsUntil = 0
  #isProbing = false
  #isClosed = false

  constructor (store: TokenStore, { clock, logger }: { clock: Clock, logger: Logger }) {
    this.#store = store
    this.#clock = clock
    this.#logger = logger
  }

  /** Whatever the store gives. */
  get (name: string): Promise<unknown> {
    return this.#attempt(() => this.#store.get(name))
  }

  async set (name: string, value: string, ttl: number): Promise<void> {
    await this.#attempt(() => this.#store.set(name, value, ttl))
  }

  async delete (name: string): Promise<void> {
    await this.#attempt(() => this.#store.delete(name))
  }

  /** `undefined` also where the store cannot tell. */
  async setIfAbsent (name: string, value: string, ttl: number): Promise<boolean | undefined> {
    if (this.#store.setIfAbsent === undefined) return undefined
    const isSet: unknown = await this.#attempt(() => this.#store.setIfAbsent!(name, value, ttl))
    return isSet === undefined ? undefined : Boolean(isSet)
  }

  /** `undefined` also where the store cannot tell, or the value stays. */
  async ttl (name: string): Promise<number | undefined> {
    if (this.#store.ttl === undefined) return undefined
    const ttl: unknown = await this.#attempt(() => this.#store.ttl!(name))
    return typeof ttl === 'number' && ttl >= 0 ? ttl : undefined
  }

  /** From now on the store is left alone, and nothing of it is told. */
  close (): void {
    this.#isClosed = true
  }

  async #attempt<T> (operation: () => Promise<T>): Promise<T | undefined> {
    if (this.#isClosed) return undefined
    if (this.#failures === 0) return this.#observed(operation, false)
    if (this.#isProbing || this.#clock.elapsed() < this.#restsUntil) return undefined

    this.#isProbing = true
    const outcome = await this.#observed(operation, true)
    this.#isProbing = false
    return outcome
  }

  async #observed<T> (operation: () => Promise<T>, isProbe: boolean): Promise<T | undefined> {
    try {
      const outcome = await this.#inTime(operation)
      if (isProbe) this.#works()
      return outcome
    } catch (error) {
      // Operations that were under way when another failed say nothing new.
      if (isProbe || this.#failures === 0) this.#failed(error)
      return undefined
    }
  }

  #works (): void {
    this.#failures = 0
    if (!this.#isClosed) this.#logger.info('the token store works again')
  }

  #failed (error: unknown): void {
    this.#restsUntil = this.#clock.elapsed() + Math.min(FIRST_REST * 2 ** this.#failures, LONGEST_REST)
    if (this.#failures++ === 0 && !this.#isClosed) this.#logger.warn({ reason: failureReason(error) }, 'the token store does not work: tokens are not shared until it does')
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
