import { randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../tokens/clock.ts'
import type { Certificate } from './certificate.ts'
import type { ClientAuthenticationContext } from './client-credential.ts'

/** Seconds that an assertion lives, and those that its clock may be ahead of Entra ID's. */
const LIFE = 600
const AHEAD = 60
/** Milliseconds after which another is made: there is time left for the request, and for clocks that differ. */
const RENEWAL = LIFE * 1000 / 2
/** Token endpoints whose assertions are kept: one per tenant. */
const KEPT = 100

interface Kept {
  readonly signing: Promise<string>
  /** On {@link Clock.now} and {@link Clock.elapsed}. */
  readonly made: { readonly now: number, readonly elapsed: number }
}

/** What client assertions are made with. */
export interface ClientAssertionOptions {
  readonly clock: Clock
  /** Whether the chain is sent along, so that Entra ID may trust the certificate by its subject and issuer. */
  readonly sendX5C: boolean
}

/**
 * The client assertions (RFC 7523 section 2.2) that one certificate signs.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/certificate-credentials
 */
export class ClientAssertions {
  readonly #certificate: Certificate
  readonly #clock: Clock
  readonly #sendX5C: boolean
  readonly #kept = new LRUCache<string, Kept>({ max: KEPT })

  constructor (certificate: Certificate, { clock, sendX5C }: ClientAssertionOptions) {
    this.#certificate = certificate
    this.#clock = clock
    this.#sendX5C = sendX5C
  }

  /** One that proves the client at the token endpoint; the same for about five minutes. */
  for ({ clientId, tokenEndpoint }: Pick<ClientAuthenticationContext, 'clientId' | 'tokenEndpoint'>): Promise<string> {
    const key = JSON.stringify([clientId, tokenEndpoint])
    const kept = this.#kept.get(key)
    if (kept !== undefined && this.#isFresh(kept)) return kept.signing

    const made = { now: this.#clock.now(), elapsed: this.#clock.elapsed() }
    const signing = this.#sign(clientId, tokenEndpoint, Math.floor(made.now / 1000))
    this.#kept.set(key, { signing, made })
    // Those who wait have handlers of their own.
    signing.catch(() => this.#kept.delete(key))
    return signing
  }

  /** A wall clock that was set back would sign what is not valid yet, and a machine that slept has counted too little. */
  #isFresh ({ made }: Kept): boolean {
    const age = this.#clock.now() - made.now
    return age >= 0 && age < RENEWAL && this.#clock.elapsed() - made.elapsed < RENEWAL
  }

  async #sign (clientId: string, tokenEndpoint: string, now: number): Promise<string> {
    const { SignJWT } = await import('jose')
    const { privateKey, thumbprint, chain } = this.#certificate
    return new SignJWT()
      .setProtectedHeader({ alg: 'PS256', typ: 'JWT', 'x5t#S256': thumbprint, ...this.#sendX5C && { x5c: chain.map(der => Buffer.from(der).toString('base64')) } })
      .setAudience(tokenEndpoint)
      .setIssuer(clientId)
      .setSubject(clientId)
      .setJti(randomUUID())
      .setNotBefore(now - AHEAD)
      .setIssuedAt(now)
      .setExpirationTime(now + LIFE)
      .sign(privateKey)
  }
}
