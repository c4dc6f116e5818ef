import type { Logger } from '../logger.ts'
import type { Clock } from '../tokens/clock.ts'
import type { Token } from '../tokens/token.ts'
import type { Budget } from './budget.ts'
import { entryName } from './entry-name.ts'
import type { FailOpenStore } from './fail-open-store.ts'
import { endingEarlier, fromStoredText, toStoredText } from './stored-token.ts'
import type { TokenCipher } from './token-cipher.ts'

/** Milliseconds that a token must live on, to be worth its way through the store. */
const MIN_LIFE = 10_000
/** Characters of an entry. A longer one is none of ours, and its size alone could hold up the process. */
const MAX_LENGTH = 65_536
/** Milliseconds without an unreadable entry after which the next one is told again. */
const QUIET = 60_000

export interface EncryptedTokensOptions {
  readonly store: FailOpenStore
  readonly cipher: TokenCipher
  readonly clock: Clock
  readonly logger: Logger
}

/** The tokens in a store. What cannot be read is as good as not there; the first of such entries is told, those that follow it are not. */
export class EncryptedTokens {
  readonly #options: EncryptedTokensOptions
  /** The last write that is under way, by key. */
  readonly #writes = new Map<string, Promise<void>>()
  /** On {@link Clock.elapsed}. */
  #unreadableUntil = -Infinity

  constructor (options: EncryptedTokensOptions) {
    this.#options = options
  }

  /** The token of a key, if there is one that lives on, and is read within the budget. */
  async read (key: string, budget: Budget): Promise<Token | undefined> {
    const { store, clock } = this.#options
    const name = entryName('token', key)
    const value = await budget.within(() => store.get(name))
    if (value === undefined || value === null) return undefined

    const token = this.#decrypted(value, name)
    if (token === undefined) return this.#passOver()
    // The clock of the machine that wrote it may be another; the store's is the same for all.
    const ttl = await budget.within(() => store.ttl(name))
    const now = clock.now()
    const tooLate = ttl === undefined ? 0 : Math.max(0, token.expiresOn - now - ttl)
    return token.expiresOn - tooLate - now > MIN_LIFE ? endingEarlier(token, tooLate) : undefined
  }

  /** Writes a token. Those of one key are written in the order in which they were given. */
  write (key: string, token: Token): Promise<void> {
    return this.#after(key, () => this.#write(key, token))
  }

  /** Removes the token of a key, after what was written before. */
  remove (key: string): Promise<void> {
    return this.#after(key, () => this.#options.store.delete(entryName('token', key)))
  }

  #after (key: string, work: () => Promise<void>): Promise<void> {
    const written = (this.#writes.get(key) ?? Promise.resolve()).then(work).finally(() => {
      if (this.#writes.get(key) === written) this.#writes.delete(key)
    })
    this.#writes.set(key, written)
    return written
  }

  async #write (key: string, token: Token): Promise<void> {
    const { store, cipher, clock } = this.#options
    const ttl = Math.floor(token.expiresOn - clock.now())
    const name = entryName('token', key)
    if (!(ttl > MIN_LIFE)) return
    const value = cipher.encrypt(toStoredText(token), name)
    if (value.length <= MAX_LENGTH) await store.set(name, value, ttl)
  }

  #decrypted (value: unknown, name: string): Token | undefined {
    const text = typeof value === 'string' && value.length <= MAX_LENGTH ? this.#options.cipher.decrypt(value, name) : undefined
    return text === undefined ? undefined : fromStoredText(text)
  }

  #passOver (): undefined {
    const { clock, logger } = this.#options
    const isTold = clock.elapsed() < this.#unreadableUntil
    this.#unreadableUntil = clock.elapsed() + QUIET
    if (!isTold) logger.warn('an entry of the token store cannot be read, and is passed over: it was changed, or written with a key that is not among encryptionKeys')
  }
}
