/** An access token and what is known of it; frozen, so that all callers can share it. */
export interface Token {
  readonly accessToken: string
  /** The whole value of the `Authorization` header. */
  readonly authorizationHeader: string
  readonly tokenType: string
  /** Milliseconds since the epoch. */
  readonly expiresOn: number
  /** Milliseconds since the epoch at which the identity provider wants it renewed; `undefined` when it did not say. */
  readonly refreshOn: number | undefined
  readonly tenantId: string | undefined
  readonly scopes: readonly string[]
  /** Identifies the token request in the sign-in logs of Entra ID. */
  readonly correlationId: string
}

/** Where a token came from. */
export type TokenSource = 'cache' | 'distributed-cache' | 'identity-provider'

const MARGIN = 60_000

/**
 * Whether a token can still be sent: it is not, from a minute before its end on, since it must outlive the call
 * and the difference between two clocks. Tokens that live less than ten minutes spend a tenth of their life on that.
 */
export function isUsable (token: Token, acquiredOn: number, now: number): boolean {
  const margin = Math.min(MARGIN, (token.expiresOn - acquiredOn) / 10)
  // A clock that was set back makes a token look younger than it is: what seems to come from the future is not trusted.
  return now >= acquiredOn - MARGIN && now < token.expiresOn - margin
}
