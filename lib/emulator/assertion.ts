import { decodeJwt, decodeProtectedHeader, type JWTPayload, type ProtectedHeaderParameters } from 'jose'
import { EntraRefusal, type EntraRefusalOptions } from './entra-error.ts'

/** A JWT that proves something to Entra ID (RFC 7523), read and not verified yet. */
export interface Assertion {
  readonly text: string
  readonly header: ProtectedHeaderParameters & Readonly<Record<string, unknown>>
  readonly claims: JWTPayload
}

const SKEW = 300

/**
 * @param refusal as what it is refused
 * @throws EntraRefusal when it is no JWT
 */
export function readAssertion (text: string, refusal: EntraRefusalOptions = {}): Assertion {
  try {
    return { text, header: decodeProtectedHeader(text), claims: decodeJwt(text) }
  } catch {
    throw new EntraRefusal(50027, '', refusal)
  }
}

/**
 * Checks `exp` and `nbf` with the five minutes by which clocks may differ for Entra ID.
 *
 * @param now milliseconds since the epoch
 * @throws EntraRefusal
 */
export function checkLifetime ({ exp, nbf = 0 }: JWTPayload, now: number): void {
  if (typeof exp !== 'number') throw new EntraRefusal(50027, 'It lacks exp.')
  if (now >= (exp + SKEW) * 1000 || now < (nbf - SKEW) * 1000) throw new EntraRefusal(700024)
}
