/** Where a token came from. */
export type TokenSource = 'cache' | 'distributed-cache' | 'identity-provider'

/** What is known of a token beside itself. */
export interface TokenFacts {
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

/** An access token and what is known of it; frozen, so that all callers can share it. */
export class Token implements TokenFacts {
  // Private, so that no log line, JSON or inspection shows it; once, since it is most of what a cached token weighs; and first, since it is what is read.
  readonly #authorizationHeader: string
  readonly tokenType: string
  readonly expiresOn: number
  readonly refreshOn: number | undefined
  readonly tenantId: string | undefined
  readonly scopes: readonly string[]
  readonly correlationId: string

  constructor (accessToken: string, { tokenType, expiresOn, refreshOn, tenantId, scopes, correlationId }: TokenFacts) {
    this.tokenType = tokenType
    this.expiresOn = expiresOn
    this.refreshOn = refreshOn
    this.tenantId = tenantId
    this.scopes = Object.freeze([...scopes])
    this.correlationId = correlationId
    this.#authorizationHeader = inOnePiece(`${tokenType} ${accessToken}`)
    Object.freeze(this)
  }

  /** The same token, of which other things are known. */
  with (facts: Partial<Pick<TokenFacts, 'expiresOn' | 'refreshOn'>>): Token {
    const { tokenType, expiresOn, refreshOn, tenantId, scopes, correlationId } = this
    return new Token(this.accessToken, { tokenType, expiresOn, refreshOn, tenantId, scopes, correlationId, ...facts })
  }

  get accessToken (): string {
    return this.#authorizationHeader.slice(this.tokenType.length + 1)
  }

  /** The whole value of the `Authorization` header. */
  get authorizationHeader (): string {
    return this.#authorizationHeader
  }
}

/** Text that was put together is a tree of its parts to V8, which every use of it would have to go through. */
function inOnePiece (text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
