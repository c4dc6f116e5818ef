import type { Logger } from '../logger.ts'
import { pause, type Clock } from '../tokens/clock.ts'
import type { PreparedRequest, TokenRequest } from '../tokens/token-request.ts'
import type { Token, TokenSource } from '../tokens/token.ts'
import { Budget } from './budget.ts'
import { EncryptedTokens } from './encrypted-tokens.ts'
import { FailOpenStore, OPERATION_TIMEOUT } from './fail-open-store.ts'
import { takeLease, type Lease } from './lease.ts'
import type { TokenCipher } from './token-cipher.ts'
import type { TokenStore } from './token-store.ts'

/** Milliseconds that one look at the store may take, with all that it reads there. */
const LOOK = 250
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

interface AskOptions {
  /** Asks the identity provider. */
  readonly ask: () => Promise<Token>
  /** Whether no token is at hand that was asked for later: only then the one that was asked for is kept in the store. */
  readonly isNewest: () => boolean
  readonly signal: AbortSignal
}

export interface ObtainOptions extends AskOptions {
  /** Milliseconds for which another process that asks is waited for. */
  readonly patience: number
}

export interface RenewOptions extends AskOptions {
  /** The token that is to be renewed: one from the store must live longer. */
  readonly due: Token
  /** Whether the renewal is left to another process that has the lease. */
  readonly needsLease: boolean
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
   * The token of a request, for a caller who waits: from the store, or from `ask`, which one process at a time does where the store can tell.
   * What was asked for is kept in the store.
   *
   * @throws what `ask` throws; the signal's reason when it is aborted before
   */
  async obtain ({ request, key }: PreparedRequest, options: ObtainOptions): Promise<ObtainedToken> {
    return this.#isShared(request) ? this.#tracked(this.#obtain(key, options)) : asked(options)
  }

  /**
   * A token in place of one that is due, in the same way.
   *
   * @returns `'theirs'` when another process is at it
   * @throws what `ask` throws; the signal's reason when it is aborted before
   */
  async renew ({ request, key }: PreparedRequest, options: RenewOptions): Promise<ObtainedToken | 'theirs'> {
    return this.#isShared(request) ? this.#tracked(this.#renew(key, options)) : asked(options)
  }

  /** Keeps a token that was asked for out of turn. */
  keep ({ request, key }: PreparedRequest, token: Token): void {
    if (this.#isShared(request)) this.#tracked(this.#tokens.write(key, token))
  }

  /** Removes a token, as far as the store can be reached. */
  async forget (key: string): Promise<void> {
    await this.#tracked(this.#tokens.remove(key))
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
   * one, whose id means the same everywhere. The system-assigned one is another on every machine. Of a long-running session the session
   * itself is shared, so that nothing of it is left in the store when it ends.
   */
  #isShared (request: TokenRequest): boolean {
    if (request.flow !== 'managedIdentity') return request.flow !== 'longRunning'
    return this.#options.sharesManagedIdentities && Object.values(request.managedIdentity).some(id => id !== undefined)
  }

  async #obtain (key: string, options: ObtainOptions): Promise<ObtainedToken> {
    const { clock, random } = this.#options
    const { patience, signal } = options
    const end = clock.elapsed() + patience
    for (;;) {
      // Once the patience has ended, there is nothing to look with: the identity provider is asked.
      const budget = new Budget(clock, Math.min(LOOK, end - clock.elapsed()))
      const find = () => this.#find(key, budget)
      const found = await find()
      if (found !== undefined) return found

      signal.throwIfAborted()
      const lease = await takeLease(this.#store, clock, key, budget)
      if (lease.holder !== 'another') return this.#ask(key, lease, find, options)
      await pause(clock, Math.min(POLL * (1 + random()) / 2, Math.max(0, end - clock.elapsed())), signal)
    }
  }

  async #renew (key: string, options: RenewOptions): Promise<ObtainedToken | 'theirs'> {
    const { clock } = this.#options
    const { due, needsLease, signal } = options
    const budget = new Budget(clock, LOOK)
    const find = () => this.#find(key, budget, due)
    const found = await find()
    if (found !== undefined) return found

    signal.throwIfAborted()
    const lease = await takeLease(this.#store, clock, key, budget)
    return lease.holder === 'another' && needsLease ? 'theirs' : this.#ask(key, lease, find, options)
  }

  async #find (key: string, budget: Budget, due?: Token): Promise<ObtainedToken | undefined> {
    const token = await this.#tokens.read(key, budget)
    const now = this.#options.clock.now()
    const isWanted = token !== undefined && (due === undefined || token.expiresOn - now > GAIN * (due.expiresOn - now))
    return isWanted ? { token, source: 'distributed-cache' } : undefined
  }

  /** Asks the identity provider, then lets the next process ask. */
  async #ask (key: string, lease: Lease, find: () => Promise<ObtainedToken | undefined>, options: AskOptions): Promise<ObtainedToken> {
    let written = Promise.resolve()
    try {
      // Between the look and the lease, another process may have come to its end.
      const found = lease.holder === 'us' ? await find() : undefined
      if (found !== undefined) return found

      options.signal.throwIfAborted()
      const obtained = await asked(options)
      if (options.isNewest()) written = this.#tokens.write(key, obtained.token)
      return obtained
    } finally {
      this.#tracked(written.then(lease.release))
    }
  }
}

async function asked ({ ask }: AskOptions): Promise<ObtainedToken> {
  return { token: await ask(), source: 'identity-provider' }
}
