import { untilAborted } from '../until-aborted.ts'
import { withinLimit, type Clock } from '../tokens/clock.ts'

interface Call<T> {
  readonly outcome: Promise<T>
  readonly controller: AbortController
  callers: number
}

/** Makes a call once per key for all who want its outcome at the time. The call is ended when the last of them has gone. */
export class SharedCalls<T> {
  readonly #clock: Clock
  readonly #calls = new Map<string, Call<T>>()

  constructor (clock: Clock) {
    this.#clock = clock
  }

  /**
   * @param limit milliseconds that this caller waits
   * @param signal ends the wait of this caller
   * @throws what `start` throws; the signal's reason; an error that says that the limit is over
   */
  async join (key: string, limit: number, signal: AbortSignal, start: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const call = this.#calls.get(key) ?? this.#start(key, start)
    call.callers++
    try {
      return await withinLimit(this.#clock, limit, untilAborted(call.outcome, signal))
    } finally {
      call.callers--
      if (call.callers === 0 && this.#calls.get(key) === call) {
        this.#calls.delete(key)
        call.controller.abort()
      }
    }
  }

  #start (key: string, start: (signal: AbortSignal) => Promise<T>): Call<T> {
    const controller = new AbortController()
    const end = () => { if (this.#calls.get(key) === call) this.#calls.delete(key) }
    const call: Call<T> = { outcome: start(controller.signal), controller, callers: 0 }
    call.outcome.then(end, end)
    this.#calls.set(key, call)
    return call
  }
}
