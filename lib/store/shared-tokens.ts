import type { Logger } from '../logger.ts'
import { pause, type Clock } from '../tokens/clock.ts'
import type { PreparedRequest, TokenRequest } from '../tokens/token-request.ts'
import type { Token, TokenSource } from '../tokens/token.ts'
import { EncryptedTokens } from './encrypted-tokens.ts'
import { FailOpenStore, OPERATION_TIMEOUT } from './fail-open-store.ts'
import { takeLease, type Lease } from './lease.ts'
import type { TokenCipher } from './token-cipher.ts'
import type { TokenStore } from './token-store.ts'

/** Milliseconds between two looks at the store, at most. */
const POLL = 100
/** How many times as long as the token that is to be renewed one from the store must live: else it would soon be due itself. */
const GAIN = 1.5

export interface SharedTokensOptions {
  readonly store: TokenStore
  readonly cipher: TokenCipher
  /** Whether tokens of user-assigned managed identities are shared. */
  readonly sharesManagedIdentities: boolean
  readonly clock: Clock
  /** From 0 to 1. */
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

/**
 * The tokens that processes share.
 *
 * A store that is down, slow or holds what cannot be read is as good as an empty one: then every process asks for itself.
 */
export class SharedTokens {
  readonly #options: SharedTokensOptions
  readonly #store: FailOpenStore
  readonly #tokens: EncryptedTokens
  readonly #underWay = new Set<Promise<void>>()

  constructor (options: SharedTokensOptions) {
    this.#options = options
    this.#store = new FailOpenStore(options.store, options)
    this.#tokens = new EncryptedTokens({ ...options, store: this.#store })
  }

  /**
   * The token of a request: from the store, or from `ask`, which one process at a time does where the store can tell.
   * What was asked for is kept in the store.
   *
   * @returns `undefined` for a request whose token is not shared; `'theirs'` when another process asks, and there is no patience
   * @throws what `ask` throws; the signal's reason when it is aborted before
   */
  async obtain ({ request, key }: PreparedRequest, options: ObtainOptions): Promise<ObtainedToken | 'theirs' | undefined> {
    return this.#isShared(request) ? this.#tracked(this.#obtain(key, options)) : undefined
  }

  /** Keeps a token that was asked for out of turn. */
  keep ({ request, key }: PreparedRequest, token: Token): void {
    if (this.#isShared(request)) this.#tracked(this.#tokens.write(key, token))
  }

  /** Waits for what is under way, though not longer than for one operation; from then on the store is left alone. */
  async close (): Promise<void> {
    await new Promise<void>(resolve => {
      const cancel = this.#options.clock.after(OPERATION_TIMEOUT, resolve)
      this.#ended().then(resolve).finally(cancel)
    })
    this.#store.close()
  }

  async #ended (): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  #tracked<T> (work: Promise<T>): Promise<T> {
    const end = () => { this.#underWay.delete(ended) }
    const ended: Promise<void> = work.then(end, end)
    this.#underWay.add(ended)
    return work
  }

  /**
   * The token of a managed identity belongs to the machine: it is shared where that was asked for, and then only that of a user-assigned
   * one, whose id means the same everywhere. The system-assigned one is another on every machine.
   */
  #isShared (request: TokenRequest): boolean {
    if (request.flow !== 'managedIdentity') return true
    return this.#options.sharesManagedIdentities && Object.values(request.managedIdentity).some(id => id !== undefined)
  }

  async #obtain (key: string, options: ObtainOptions): Promise<ObtainedToken | 'theirs'> {
    const { clock, random } = this.#options
    const { newerThan, patience, signal } = options
    const until = clock.elapsed() + patience
    for (;;) {
      const found = await this.#find(key, newerThan)
      if (found !== undefined) return found

      signal.throwIfAborted()
      const lease = await takeLease(this.#store, clock, key)
      if (lease.holder !== 'another' || (patience > 0 && clock.elapsed() >= until)) return this.#ask(key, lease, options)
      if (patience === 0) return 'theirs'
      await pause(clock, POLL * (1 + random()) / 2, signal)
    }
  }

  async #find (key: string, newerThan: Token | undefined): Promise<ObtainedToken | undefined> {
    const token = await this.#tokens.read(key)
    const now = this.#options.clock.now()
    const isWanted = token !== undefined && (newerThan === undefined || token.expiresOn - now > GAIN * (newerThan.expiresOn - now))
    return isWanted ? { token, source: 'distributed-cache' } : undefined
  }

  /** Asks the identity provider, then lets the next process ask. */
  async #ask (key: string, lease: Lease, { newerThan, ask, signal }: ObtainOptions): Promise<ObtainedToken> {
    let written = Promise.resolve()
    try {
      // Between the look and the lease, another process may have come to its end.
      const found = lease.holder === 'us' ? await this.#find(key, newerThan) : undefined
      if (found !== undefined) return found

      signal.throwIfAborted()
      const token = await ask()
      written = this.#tokens.write(key, token)
      return { token, source: 'identity-provider' }
    } finally {
      this.#tracked(written.then(lease.release))
    }
  }
}
