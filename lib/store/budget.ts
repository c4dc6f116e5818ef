import type { Clock } from '../tokens/clock.ts'

/** The time for which somebody waits for a store, over several operations. */
export class Budget {
  readonly #clock: Clock
  /** On {@link Clock.elapsed}. */
  readonly #end: number

  /** @param time milliseconds from now on */
  constructor (clock: Clock, time: number) {
    this.#clock = clock
    this.#end = clock.elapsed() + time
  }

  /** The outcome of `work`; `undefined` when that takes too long, though the work goes on. Where no time is left, it is not begun. */
  async within<T> (work: () => Promise<T>): Promise<T | undefined> {
    const left = this.#end - this.#clock.elapsed()
    if (left <= 0) return undefined
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(left, () => resolve(undefined))
      work().then(resolve, reject).finally(cancel)
    })
  }
}
