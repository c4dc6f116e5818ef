import { LRUCache } from 'lru-cache'
import type { PreparedRequest } from './token-request.ts'

const MAX_PLANS = 1_000

/** What headers were asked for before, so that it is not checked and worked out again. Only what goes by the cache is kept. */
export class HeaderPlans {
  readonly #plans = new LRUCache<string, PreparedRequest>({ max: MAX_PLANS })

  get (caller: string, scope: unknown, options: unknown): PreparedRequest | undefined {
    const key = keyOf(caller, scope, options)
    return key === undefined ? undefined : this.#plans.get(key)
  }

  set (caller: string, scope: unknown, options: unknown, prepared: PreparedRequest): void {
    const key = keyOf(caller, scope, options)
    if (key !== undefined) this.#plans.set(key, prepared)
  }
}

/** The same for what is the same by its JSON; `undefined` for what has none, or says more than it. */
function keyOf (caller: string, scope: unknown, options: unknown): string | undefined {
  if (options === undefined && typeof scope === 'string') return `${caller} ${scope}`
  try {
    return JSON.stringify([caller, scope, options], requireJson)
  } catch {
    return undefined
  }
}

/** JSON leaves these out: an identity whose id is `undefined` would be taken for one without an id, which is another identity. */
function requireJson (_key: string, value: unknown): unknown {
  if (value === undefined || typeof value === 'function' || typeof value === 'symbol') throw new TypeError('not JSON')
  return value
}
