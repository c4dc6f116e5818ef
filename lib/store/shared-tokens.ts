import { createHash } from 'node:crypto'
import type { Logger } from '../logger.ts'
import { pause, type Clock } from '../tokens/clock.ts'
import type { PreparedRequest, TokenRequest } from '../tokens/token-request.ts'
import { toStoredText, fromStoredText } from './stored-token.ts'
import type { Token, TokenSource } from '../tokens/token.ts'
import type { TokenCipher } from './token-cipher.ts'
import type { TokenStore } from './token-store.ts'

/** Milliseconds that one operation of the store may take. */
const OPERATION_TIMEOUT = 250
/** Milliseconds for which a store that failed is left alone: at first, and at most. */
const FIRST_REST = 500
const LONGEST_REST = 15_000
/** Milliseconds after which the process that acquires a token is no longer waited for. */
const LEASE = 3_000
/** Milliseconds that a token from the store must live on. */
const MIN_LIFE = 10_000
/** Milliseconds between two looks at the store, at most. */
const POLL = 100

export interface SharedTokensOptions {
  readonly store: TokenStore
  readonly cipher: TokenCipher
  /** Whether tokens of user-assigned managed identities are shared. */
  readonly sharesManagedIdentities: boolean
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
}

export interface ObtainOptions {
  /** The token that is to be renewed: one from the store must live longer. */
  readonly newerThan: Token | undefined
  /** Asks the identity provider. */
  readonly ask: () => Promise<Token>
  /** Milliseconds for which another process that asks is waited for. */
  readonly patience: number
  readonly signal: AbortSignal
}

export interface ObtainedToken {
  readonly token: Token
  readonly source: TokenSource
}

/** Who may ask the identity provider for a token: this process, another one which is at it, or everybody, since the store cannot tell. */
type Lease = 'ours' | 'theirs' | 'unknown'

/**
 * The tokens in the store that processes share.
 *
 * It never fails: a store that is down, slow or holds what cannot be read is as good as an empty one. An outage is told once, and so is its end.
 */
export class SharedTokens {
  readonly #options: SharedTokensOptions
  readonly #pending = new Set<Promise<unknown>>()
  #failures = 0
  /** On {@link Clock.elapsed}. */
  #restsUntil = 0

  constructor (options: SharedTokensOptions) {
    this.#options = options
  }

  /**
   * The token of a request: from the store, or from `ask`, which one process at a time does where the store can tell.
   * What was asked for is kept in the store.
   *
   * @returns `undefined` for a request whose token is not shared; `'theirs'` when another process asks, and there is no patience
   * @throws what `ask` throws
   */
  async obtain ({ request, key }: PreparedRequest, { newerThan, ask, patience, signal }: ObtainOptions): Promise<ObtainedToken | 'theirs' | undefined> {
    if (!this.#isShared(request)) return undefined
    const { clock, random } = this.#options
    const until = clock.elapsed() + patience
    for (;;) {
      const found = await this.#find(key, newerThan)
      if (found !== undefined) return found
      const lease = await this.#lease(key)
      if (lease !== 'theirs' || (patience > 0 && clock.elapsed() >= until)) return await this.#askFor(key, lease, newerThan, ask)
      if (patience === 0) return 'theirs'
      await pause(clock, POLL * (1 + random()) / 2, signal)
    }
  }

  /** Keeps a token that was asked for out of turn. */
  keep ({ request, key }: PreparedRequest, token: Token): void {
    if (this.#isShared(request)) this.#inBackground(this.#set(key, token))
  }

  /** Resolves when nothing is on its way to the store any more. */
  async settled (): Promise<void> {
    await Promise.all(this.#pending)
  }

  #inBackground (work: Promise<unknown>): void {
    this.#pending.add(work)
    work.finally(() => this.#pending.delete(work))
  }

  /**
   * The token of a managed identity belongs to the machine: it is shared where that was asked for, and then only that of a user-assigned
   * one, whose id means the same everywhere. The system-assigned one is another on every machine.
   */
  #isShared (request: TokenRequest): boolean {
    if (request.flow !== 'managedIdentity') return true
    return this.#options.sharesManagedIdentities && Object.keys(request.managedIdentity).length > 0
  }

  async #find (key: string, newerThan: Token | undefined): Promise<ObtainedToken | undefined> {
    const token = await this.#get(key)
    const isWanted = token !== undefined && token.expiresOn > Math.max(this.#options.clock.now() + MIN_LIFE, newerThan?.expiresOn ?? 0)
    return isWanted ? { token, source: 'distributed-cache' } : undefined
  }

  async #askFor (key: string, lease: Lease, newerThan: Token | undefined, ask: () => Promise<Token>): Promise<ObtainedToken> {
    const release = () => lease === 'ours' ? this.#release(key) : undefined
    // Between the look and the lease, another process may have come to its end.
    const found = lease === 'ours' ? await this.#find(key, newerThan) : undefined
    if (found !== undefined) {
      this.#inBackground(release()!)
      return found
    }
    try {
      const token = await ask()
      this.#inBackground(this.#set(key, token).then(release))
      return { token, source: 'identity-provider' }
    } catch (error) {
      this.#inBackground(Promise.resolve(release()))
      throw error
    }
  }

  async #get (key: string): Promise<Token | undefined> {
    const { store, cipher, logger } = this.#options
    const name = nameOf('token', key)
    const value = await this.#attempt(() => store.get(name))
    if (value === undefined || value === null) return undefined

    const text = typeof value === 'string' ? cipher.decrypt(value, name) : undefined
    const token = text === undefined ? undefined : fromStoredText(text)
    if (token === undefined) logger.debug('an entry of the token store cannot be read, and is passed over')
    return token
  }

  async #set (key: string, token: Token): Promise<void> {
    const { store, cipher, clock } = this.#options
    const ttl = Math.floor(token.expiresOn - clock.now())
    if (ttl <= 0) return
    const name = nameOf('token', key)
    await this.#attempt(() => store.set(name, cipher.encrypt(toStoredText(token), name), ttl))
  }

  async #lease (key: string): Promise<Lease> {
    const { store } = this.#options
    if (store.setIfAbsent === undefined) return 'unknown'
    const isSet = await this.#attempt(() => store.setIfAbsent!(nameOf('lease', key), '1', LEASE))
    if (isSet === undefined) return 'unknown'
    return isSet ? 'ours' : 'theirs'
  }

  async #release (key: string): Promise<void> {
    await this.#attempt(() => this.#options.store.delete(nameOf('lease', key)))
  }

  /** The outcome of one operation; `undefined` when it failed, took too long, or the store is left alone. */
  async #attempt<T> (operation: () => Promise<T>): Promise<T | undefined> {
    const { clock, logger } = this.#options
    if (clock.elapsed() < this.#restsUntil) return undefined
    try {
      const outcome = await this.#inTime(operation)
      if (this.#failures > 0) logger.info('the token store works again')
      this.#failures = 0
      return outcome
    } catch (error) {
      this.#restsUntil = clock.elapsed() + Math.min(FIRST_REST * 2 ** this.#failures, LONGEST_REST)
      if (this.#failures++ === 0) logger.warn({ err: error }, 'the token store does not work: tokens are not shared until it does')
      return undefined
    }
  }

  #inTime<T> (operation: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.#options.clock.after(OPERATION_TIMEOUT, () => reject(new Error(`no answer within ${OPERATION_TIMEOUT} ms`)))
      // A store may throw as well as reject.
      const outcome = (async () => operation())()
      outcome.then(resolve, reject).finally(cancel)
    })
  }
}

/** Says nothing of the token: the key, which names tenant, client and user assertion, is hashed. */
function nameOf (kind: 'token' | 'lease', key: string): string {
  return `fastify-identity-web:v1:${kind}:${createHash('sha256').update(key).digest('base64url')}`
}
