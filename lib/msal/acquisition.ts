import type { Dispatcher } from 'undici'
import type { AuthorityEndpoints } from '../authorities/endpoints.ts'
import type { ClientCredentials } from '../credentials/client-credentials.ts'

/** The circumstances of one acquisition. */
export interface Acquisition {
  /** Ends the acquisition: its deadline, or the closing of the application. */
  readonly signal: AbortSignal
  /** What carries it: one for Entra ID, another, without a proxy, for managed identity endpoints. */
  readonly dispatcher: Dispatcher
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** The circumstances of one acquisition for which an app proves itself. */
export interface AppAcquisition extends Acquisition {
  readonly credentials: ClientCredentials
  readonly endpoints: AuthorityEndpoints
  /** Is given the refresh token that came with the token. */
  readonly onRefreshToken?: (refreshToken: string) => void
}
