import { LRUCache } from 'lru-cache'
import type { PreparedRequest } from './token-request.ts'

const MAX_PLANS = 1_000
const MAX_KEY = 2_000

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

/** What was said, as text; `undefined` where it has no JSON, says more than its JSON, or is long. */
function keyOf (caller: string, scope: unknown, options: unknown): string | undefined {
  if (options === undefined && typeof scope === 'string') return `${caller} ${scope}`
  try {
    const key = JSON.stringify([caller, scope, options], requireJson)
    return key.length > MAX_KEY ? undefined : key
  } catch {
    return undefined
  }
}

/** JSON leaves these out, or lets them speak for themselves: an identity whose id is `undefined` would be taken for another identity. */
function requireJson (this: Readonly<Record<string, unknown>>, key: string, value: unknown): unknown {
  const isMore = value === undefined || typeof value === 'function' || typeof value === 'symbol' || this[key] !== value
  if (isMore) throw new TypeError('not JSON')
  return value
}
