import { randomBytes } from 'node:crypto'
import { EntraRefusal } from './entra-error.ts'
import type { IssueOrder } from './issue-order.ts'
import type { User } from './user-token-issuer.ts'
import type { SignedInUser } from './user-assertion.ts'

/** Whom a refresh token is for. */
export interface RefreshTokenHolder {
  readonly clientId: string
  /** The tenant that it was asked for in. */
  readonly tenantId: string
}

interface RefreshToken extends RefreshTokenHolder {
  readonly user: SignedInUser
  /** What was asked for. */
  readonly scope: string
  /** Milliseconds since the epoch. */
  readonly expiresOn: number
}

// https://learn.microsoft.com/entra/identity-platform/refresh-tokens#token-lifetime
const LIFETIME = 90 * 24 * 3600 * 1000

/** The refresh tokens that were given out: nobody else can read them. */
export class RefreshTokens {
  readonly #tokens = new Map<string, RefreshToken>()
  readonly #order: IssueOrder
  readonly #now: () => number

  constructor (order: IssueOrder, now: () => number) {
    this.#order = order
    this.#now = now
  }

  issue ({ clientId, tenantId }: RefreshTokenHolder, user: User, scope: string): string {
    const token = `1.${randomBytes(48).toString('base64url')}`
    this.#tokens.set(token, { clientId, tenantId, user: { ...user, issued: this.#order.next() }, scope, expiresOn: this.#now() + LIFETIME })
    return token
  }

  /** @throws EntraRefusal when it is not one of that client in that tenant, or has expired */
  redeem (token: string, { clientId, tenantId }: RefreshTokenHolder): { readonly user: SignedInUser, readonly scope: string } {
    const known = this.#tokens.get(token)
    if (known === undefined) throw new EntraRefusal(70000)
    if (known.clientId !== clientId || known.tenantId !== tenantId) throw new EntraRefusal(700005, `The app was '${clientId}'.`)
    if (known.expiresOn <= this.#now()) throw new EntraRefusal(700082)
    return known
  }
}
