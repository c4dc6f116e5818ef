import { onAbort } from '../on-abort.ts'

/** Time, as the engine is given it; tests bring their own. */
export interface Clock {
  /** Milliseconds since the epoch; may jump, when somebody sets the clock. */
  now (): number
  /** Milliseconds since some moment; never jumps, but may stand still while the machine sleeps. */
  elapsed (): number
  /** Runs `work` in `delay` milliseconds; gives what takes that back. */
  after (delay: number, work: () => void): () => void
}

/** The clocks and timers of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after (delay, work) {
    let turn: NodeJS.Immediate | undefined
    // One turn of the event loop later: an answer that came in time while the process was busy is looked at first.
    const timer = setTimeout(() => { turn = setImmediate(work) }, delay)
    return () => {
      clearTimeout(timer)
      clearImmediate(turn)
    }
  },
}

/** Whether `work` has ended, in either way, within `limit` milliseconds; the work itself goes on. */
export function endsWithin (clock: Clock, limit: number, work: Promise<unknown>): Promise<boolean> {
  return new Promise(resolve => {
    const cancel = clock.after(limit, () => resolve(false))
    const end = () => {
      cancel()
      resolve(true)
    }
    work.then(end, end)
  })
}

/** Resolves in `delay` milliseconds, or rejects with the signal's reason when it is aborted before. */
export function pause (clock: Clock, delay: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const abort = () => {
      cancel()
      reject(signal.reason)
    }
    const cancel = clock.after(delay, () => {
      signal.removeEventListener('abort', abort)
      resolve()
    })
    onAbort(signal, abort)
  })
}

/** What comes of `work`, when that is within `limit` milliseconds; else an error that says so. The work itself goes on. */
export async function withinLimit<T> (clock: Clock, limit: number, work: Promise<T>): Promise<T> {
  if (await endsWithin(clock, limit, work)) return work
  throw new Error(`it took longer than ${Math.ceil(limit)} ms`)
}
