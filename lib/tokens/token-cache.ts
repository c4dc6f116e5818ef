import { LRUCache } from 'lru-cache'
import { isUsable, type Token } from './token.ts'

interface Entry {
  readonly token: Token
  /** Milliseconds since the epoch. */
  readonly acquiredOn: number
}

/** The tokens at hand, the least recently used of which makes room. A look-up costs the same with any number of them. */
export class TokenCache {
  readonly #entries: LRUCache<string, Entry>
  readonly #now: () => number

  constructor (maxEntries: number, now: () => number) {
    this.#entries = new LRUCache({ max: maxEntries })
    this.#now = now
  }

  get (key: string): Token | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    if (isUsable(entry.token, entry.acquiredOn, this.#now())) return entry.token

    this.#entries.delete(key)
    return undefined
  }

  set (key: string, token: Token): void {
    this.#entries.set(key, { token, acquiredOn: this.#now() })
  }

  clear (): void {
    this.#entries.clear()
  }
}
