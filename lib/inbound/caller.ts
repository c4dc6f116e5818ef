import { hash } from 'node:crypto'
import type { PreparedRequest } from '../tokens/token-request.ts'
import type { SigningKey } from './signing-keys.ts'

/** How many requests of one caller are kept. */
const MAX_PREPARED = 8
const none: readonly never[] = []

/**
 * The claims of a token that has been validated; frozen.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
 */
export interface CallerClaims {
  /** The API that the token is for. */
  readonly aud: string | readonly string[]
  readonly iss: string
  /** Seconds since the epoch. */
  readonly exp: number
  /** Seconds since the epoch. */
  readonly nbf?: number
  /** Seconds since the epoch. */
  readonly iat?: number
  /** The tenant. */
  readonly tid?: string
  /** The user, or the service principal of the app, the same for all apps of the tenant. */
  readonly oid?: string
  /** The same for this API alone. */
  readonly sub?: string
  /** Scopes of a user's token, with spaces between them. */
  readonly scp?: string
  /** App roles. */
  readonly roles?: readonly string[]
  /** Client id of the app that calls, in tokens of version 2.0. */
  readonly azp?: string
  /** Client id of the app that calls, in tokens of version 1.0. */
  readonly appid?: string
  readonly name?: string
  readonly preferred_username?: string
  readonly ver?: string
  readonly [claim: string]: unknown
}

/** What a token lets do: act for a user, or for an app itself. */
export type CallerKind = 'user' | 'app'

/** What a token says of who comes with it. */
export type CallerFacts = Pick<Caller, 'claims' | 'kind' | 'tenantId' | 'scopes' | 'roles' | 'key'>

/** Somebody who has come with a token that has been validated. */
export class Caller {
  // What was asked for last on behalf of the caller, and by whom, stands first and in the object itself: where there are many callers, memory is most of
  // what a call costs. What is private is shown by no log line, JSON or inspection.
  #by: object | undefined
  #request: PreparedRequest | undefined
  #others: readonly (readonly [by: object, request: PreparedRequest])[] = none
  readonly claims: CallerClaims
  readonly kind: CallerKind
  readonly tenantId: string
  readonly scopes: readonly string[]
  readonly roles: readonly string[]
  /** The key that the token is signed with. */
  readonly key: SigningKey
  readonly #assertion: string
  #assertionHash: string | undefined

  /**
   * @param assertion the token itself, decrypted
   * @param assertionHash its SHA-256, where that has been made already
   */
  constructor (assertion: string, { claims, kind, tenantId, scopes, roles, key }: CallerFacts, assertionHash?: string) {
    this.claims = claims
    this.kind = kind
    this.tenantId = tenantId
    this.scopes = scopes
    this.roles = roles
    this.key = key
    this.#assertion = assertion
    this.#assertionHash = assertionHash
  }

  /** Milliseconds since the epoch. */
  get expiresOn (): number {
    return this.claims.exp * 1000
  }

  /** What is exchanged for tokens on behalf of the caller. */
  get assertion (): string {
    return this.#assertion
  }

  get assertionHash (): string {
    return (this.#assertionHash ??= hash('sha256', this.#assertion))
  }

  /** What {@link prepare} has kept for `by`. */
  preparedFor (by: object): PreparedRequest | undefined {
    return this.#by === by ? this.#request : this.#others.find(([other]) => other === by)?.[1]
  }

  /** Keeps a request, so that it is not worked out again for the caller's next call; the last few are kept. */
  prepare (by: object, request: PreparedRequest): PreparedRequest {
    if (this.#by !== undefined) this.#others = [[this.#by, this.#request!] as const, ...this.#others].slice(0, MAX_PREPARED - 1)
    this.#by = by
    this.#request = request
    return request
  }
}
