import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { deepFreeze } from '../configuration/freeze.ts'
import { UnauthorizedError } from '../errors.ts'
import type { Clock } from '../tokens/clock.ts'
import { Caller } from './caller.ts'
import { judgeClaims } from './claims.ts'
import type { InboundAuthority } from './inbound-authority.ts'
import type { InboundConfiguration } from './inbound-configuration.ts'
import { cannotValidate, tokenRefused } from './refusals.ts'
import type { SigningKey } from './signing-keys.ts'
import type { TokenDecryption } from './token-decryption.ts'

export interface TokenValidatorOptions {
  readonly configuration: InboundConfiguration
  readonly authority: InboundAuthority
  readonly decryption: TokenDecryption
  readonly clock: Clock
  /** How many callers are remembered. */
  readonly maxEntries: number
}

type CompactVerify = typeof import('jose').compactVerify

const signed = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
const encrypted = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/

/**
 * Finds out who comes with a token. A token that has been validated is not verified again while it lives, and its key is published.
 *
 * Signatures are verified with RS256 and keys of the authority only: what a token says of its own keys is not looked at (RFC 8725 section 3.10).
 */
export class TokenValidator {
  readonly #options: TokenValidatorOptions
  /** By the hash of the whole token. */
  readonly #callers: LRUCache<string, Caller>
  readonly #validating = new Map<string, Promise<Caller>>()
  readonly #ofClaims = new WeakMap<object, Caller>()
  #verify: CompactVerify | undefined

  constructor (options: TokenValidatorOptions) {
    this.#options = options
    this.#callers = new LRUCache({ max: options.maxEntries })
  }

  /** Who came with the token before; `undefined` where it is to be validated. */
  known (token: string): Caller | undefined {
    return this.#known(hash('sha256', token))
  }

  /** Whose validated claims these are; `undefined` where they are not of a token that was validated here. */
  ofClaims (claims: unknown): Caller | undefined {
    return typeof claims === 'object' && claims !== null ? this.#ofClaims.get(claims) : undefined
  }

  /**
   * @throws UnauthorizedError with 401 when the token does not hold, and with 503 when that cannot be found out
   */
  async validate (token: string): Promise<Caller> {
    const tokenHash = hash('sha256', token)
    const known = this.#known(tokenHash)
    if (known !== undefined) return known
    const validating = this.#validating.get(tokenHash) ?? this.#validate(token, tokenHash).finally(() => this.#validating.delete(tokenHash))
    this.#validating.set(tokenHash, validating)
    return validating
  }

  #known (tokenHash: string): Caller | undefined {
    const { authority: { keys }, clock, configuration } = this.#options
    const caller = this.#callers.get(tokenHash)
    if (caller === undefined || !keys.areFresh) return undefined
    const isOver = !caller.key.isPublished || clock.now() >= caller.expiresOn + configuration.clockTolerance * 1000
    return isOver ? undefined : caller
  }

  async #validate (token: string, tokenHash: string): Promise<Caller> {
    const { authority: { keys, issuer }, configuration, clock, decryption } = this.#options
    if (this.#callers.has(tokenHash)) {
      await keys.refresh()
      // Its key may be of use on, and with it what was found out.
      const caller = this.#callers.get(tokenHash)
      if (caller?.key.isPublished === true && clock.now() < caller.expiresOn + configuration.clockTolerance * 1000) return caller
    }
    const assertion = encrypted.test(token) ? await decryption.decrypt(token) : token
    const { claims, key } = await this.#verified(assertion)
    const judged = await judgeClaims(claims, { configuration, issuers: version => issuer(version).catch(cause => { throw cannotValidate({ cause }) }), key, now: clock.now() })
    const caller = new Caller(assertion, { ...judged, key }, assertion === token ? tokenHash : undefined)
    this.#callers.set(tokenHash, caller)
    this.#ofClaims.set(caller.claims, caller)
    return caller
  }

  async #verified (token: string): Promise<{ claims: Readonly<Record<string, unknown>>, key: SigningKey }> {
    if (!signed.test(token)) throw tokenRefused('it is no signed JWT')
    this.#verify ??= (await import('jose')).compactVerify
    let key: SigningKey | undefined
    try {
      const { payload } = await this.#verify(token, async ({ kid }) => {
        key = await this.#keyOf(kid)
        return key.key
      }, { algorithms: ['RS256'] })
      return { claims: claimsOf(payload), key: key! }
    } catch (error) {
      throw error instanceof UnauthorizedError ? error : tokenRefused('its signature does not hold', { cause: reasonOf(error) })
    }
  }

  async #keyOf (kid: unknown): Promise<SigningKey> {
    if (typeof kid !== 'string') throw tokenRefused('it does not name its key')
    const key = await this.#options.authority.keys.find(kid).catch(cause => { throw cannotValidate({ cause }) })
    if (key === undefined) throw tokenRefused('its key is not known')
    return key
  }
}

function claimsOf (payload: Uint8Array): Readonly<Record<string, unknown>> {
  const claims = parsed(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString())
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) throw tokenRefused('it holds no claims')
  return deepFreeze(claims as Record<string, unknown>)
}

function parsed (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The library's own words: nothing of the token is in them. */
function reasonOf (error: unknown): Error {
  const { code, name } = error as { code?: unknown, name: string }
  return new Error(typeof code === 'string' ? code : name)
}
