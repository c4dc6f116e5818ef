import { onAbort } from './on-abort.ts'

/** The outcome of `work`, or the signal's reason as soon as it is aborted; the work itself goes on. */
export function untilAborted<T> (work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    onAbort(signal, abort)
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
    if (signal.aborted) abort()
  })
}
