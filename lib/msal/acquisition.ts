import type { Dispatcher } from 'undici'

/** The circumstances of one acquisition. */
export interface Acquisition {
  /** Ends the acquisition: its deadline, or the closing of the application. */
  readonly signal: AbortSignal
  /** What carries it: one for Entra ID, another, without a proxy, for managed identity endpoints. */
  readonly dispatcher: Dispatcher
  /** Milliseconds since the epoch. */
  readonly now: () => number
}
