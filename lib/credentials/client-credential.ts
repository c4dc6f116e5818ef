/** What an app sends to prove itself: MSAL's name and value for it. */
export type ClientAuthentication =
  | { readonly clientSecret: string }
  | { readonly clientAssertion: string }

/** Where and as whom an app is about to prove itself. */
export interface ClientAuthenticationContext {
  readonly clientId: string
  readonly tenantId: string
  readonly tokenEndpoint: string
  /** Ends the work: the deadline of the acquisition, or the closing of the application. */
  readonly signal: AbortSignal
}

/** Something that an app can prove itself with. How it does so, and what of it is kept for the next time, is its own business. */
export interface ClientCredential {
  /**
   * @throws Error whose message says, with nothing secret in it, why it cannot be used now: then the next credential is tried, and this one
   * again with the next acquisition
   */
  authenticate (context: ClientAuthenticationContext): Promise<ClientAuthentication>
  /** Loads it anew, since Entra ID has refused `refused`, unless that is not what it would give now. Absent where nothing could be another. */
  reload? (refused: ClientAuthentication, context: ClientAuthenticationContext): Promise<void>
  /** Loads it when the application starts, so that what is wrong with it is told then; rejects like {@link authenticate}. Absent where there is nothing on this machine to load. */
  readonly loadAhead?: (() => Promise<void>) | undefined
}
