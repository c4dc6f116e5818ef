import { unverifiedClaims } from '../jwt-claims.ts'

/** Characters that an assertion has at most; tokens of Kubernetes have one or two thousand. */
export const MAX_LENGTH = 64 * 1024
/** Milliseconds before its end at which a newer assertion is wanted, at most; a fifth of a short life. */
const MARGIN = 5 * 60_000

/** A token that somebody else has signed for the app (RFC 7523), and what it says of its own end. It is read, not verified: Entra ID does that. */
export class SignedAssertion {
  readonly text: string
  /** By its `exp`, in milliseconds since the epoch; `undefined` when it does not say. */
  readonly endsOn: number | undefined
  readonly #dueOn: number

  /** @param now milliseconds since the epoch at which it came */
  constructor (text: string, now: number) {
    const { exp } = claimsOf(text) ?? {}
    this.text = text
    this.endsOn = typeof exp === 'number' ? exp * 1000 : undefined
    this.#dueOn = this.endsOn === undefined ? Infinity : this.endsOn - Math.min(MARGIN, (this.endsOn - now) / 5)
  }

  hasEnded (now: number): boolean {
    return this.endsOn !== undefined && this.endsOn <= now
  }

  /** Whether a newer one is wanted. */
  isDue (now: number): boolean {
    return this.#dueOn <= now
  }
}

/** Whether `text` is one JWT: header, claims and signature. */
export function isJwt (text: string): boolean {
  return claimsOf(text) !== undefined
}

function claimsOf (text: string): Record<string, unknown> | undefined {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text) ? unverifiedClaims(text) : undefined
}
