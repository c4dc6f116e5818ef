import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { UnauthorizedError } from '../errors.ts'
import { jsonObject } from '../json-object.ts'
import type { Clock } from '../tokens/clock.ts'
import { MAX_TOKEN } from './authorization-header.ts'
import { Caller } from './caller.ts'
import { judgeClaims, versionOf } from './claims.ts'
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
const verifyOptions = { algorithms: ['RS256'] }

/** Parts of an encrypted token (RFC 7516 section 7.1). */
const ENCRYPTED = 5

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
  /** What claims that were validated here are known by: a weak map of many that come and go costs more than their validation. */
  readonly #kCaller = Symbol('fastify-identity-web.caller')
  #verify: CompactVerify | undefined

  constructor (options: TokenValidatorOptions) {
    this.#options = options
    this.#callers = new LRUCache({ max: options.maxEntries })
  }

  /**
   * Who comes with the token: at once where it was validated before.
   *
   * @param check tells what is wrong with text that is no token at all, when it turns out not to hold
   * @throws UnauthorizedError with 401 when the token does not hold, and with 503 when that cannot be found out
   */
  callerOf (token: string, check?: (token: string) => void): Caller | Promise<Caller> {
    if (token.length > MAX_TOKEN) throw tokenRefused('it is too long')
    const tokenHash = hash('sha256', token)
    const known = this.#known(tokenHash) ?? this.#validating.get(tokenHash)
    if (known !== undefined) return known
    const validating = this.#validate(token, tokenHash, check)
    this.#validating.set(tokenHash, validating)
    const done = () => { this.#validating.delete(tokenHash) }
    validating.then(done, done)
    return validating
  }

  /** Whose validated claims these are; `undefined` where they are not of a token that was validated here. */
  ofClaims (claims: unknown): Caller | undefined {
    if (typeof claims !== 'object' || claims === null || !Object.hasOwn(claims, this.#kCaller)) return undefined
    return (claims as Record<symbol, Caller>)[this.#kCaller]
  }

  #known (tokenHash: string): Caller | undefined {
    const caller = this.#callers.get(tokenHash)
    if (caller === undefined || !this.#options.authority.keys.areFresh) return undefined
    return this.#holds(caller) ? caller : undefined
  }

  #holds ({ key, expiresOn }: Caller): boolean {
    const { authority: { keys }, clock, configuration } = this.#options
    return keys.mayUse(key) && clock.now() < expiresOn + configuration.clockTolerance * 1000
  }

  async #validate (token: string, tokenHash: string, check?: (token: string) => void): Promise<Caller> {
    const { authority, configuration, clock, decryption } = this.#options
    try {
      if (this.#callers.has(tokenHash)) {
        await authority.keys.refresh()
        // Its key may be of use on, and with it what was found out.
        const caller = this.#callers.get(tokenHash)
        if (caller !== undefined && this.#holds(caller)) return caller
      }
      const assertion = partsOf(token) === ENCRYPTED ? await decryption.decrypt(token) : token
      const { payload, key } = await this.#verified(assertion)
      const claims = claimsOf(payload)
      const version = versionOf(claims, configuration)
      const issuer = await authority.issuer(version)
      const issuerOfKeys = version === '2.0' ? issuer : await authority.issuer('2.0')
      const facts = judgeClaims(claims, { configuration, version, issuer, issuerOfKeys, key, now: clock.now() })
      const caller = new Caller(assertion, facts, assertion === token ? tokenHash : undefined)
      seal(Object.defineProperty(claims, this.#kCaller, { value: caller }))
      this.#callers.set(tokenHash, caller)
      return caller
    } catch (error) {
      check?.(token)
      throw error
    }
  }

  async #verified (token: string): Promise<{ payload: Uint8Array, key: SigningKey }> {
    // What is before the signature is what is signed; decoders pass over what does not belong into the signature itself.
    if (!/^[\w-]+$/.test(token.slice(token.indexOf('.', token.indexOf('.') + 1) + 1))) throw tokenRefused('it is no signed JWT')
    this.#verify ??= (await import('jose')).compactVerify
    let key: SigningKey | undefined
    try {
      const { payload } = await this.#verify(token, ({ kid }: { kid?: unknown }) => {
        key = this.#options.authority.keys.known(kid)
        return key?.key ?? this.#keyOf(kid).then(found => (key = found).key)
      }, verifyOptions)
      return { payload, key: key! }
    } catch (error) {
      if (error instanceof UnauthorizedError) throw error
      throw tokenRefused((error as { code?: string }).code === 'ERR_JWS_INVALID' ? 'it is no signed JWT' : 'its signature does not hold', { cause: reasonOf(error) })
    }
  }

  async #keyOf (kid: unknown): Promise<SigningKey> {
    if (typeof kid !== 'string') throw tokenRefused('it does not name its key')
    const key = await this.#options.authority.keys.find(kid).catch(cause => { throw cannotValidate({ cause }) })
    if (key === undefined) throw tokenRefused('its key is not known')
    return key
  }
}

function partsOf (token: string): number {
  let parts = 1
  for (let at = token.indexOf('.'); at >= 0; at = token.indexOf('.', at + 1)) parts++
  return parts
}

function claimsOf (payload: Uint8Array): Record<string, unknown> {
  const claims = jsonObject(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString())
  if (claims === undefined) throw tokenRefused('it holds no claims')
  return claims
}

/** Freezes what JSON holds, at any depth, without what would change the prototype of a copy. */
function seal (value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  if (Object.hasOwn(value, '__proto__')) Reflect.deleteProperty(value, '__proto__')
  for (const name in value) seal((value as Record<string, unknown>)[name])
  Object.freeze(value)
}

/** The library's name for what is wrong: its messages may quote the header of the token. */
function reasonOf (error: unknown): Error {
  return new Error((error as Error).name)
}
