import { setMaxListeners } from 'node:events'

/** Listens to a signal that many may listen to at once: each of them goes away by itself, so that their number is no sign of a leak. */
export function onAbort (signal: AbortSignal, listener: (event: Event) => void): void {
  setMaxListeners(0, signal)
  signal.addEventListener('abort', listener, { once: true })
}
