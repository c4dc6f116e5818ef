import { isPlain } from '../configuration/freeze.ts'
import type { Caller } from './identity.ts'
import type { TokenPlan } from './token-acquirer.ts'

const MAX_TEXT = 2_000
const MAX_DEPTH = 5

/** What headers were asked for before, so that it is not checked and worked out again. Only what goes by the cache is kept. */
export class HeaderPlans {
  readonly #max: number
  /** By the scope, where nothing else was said. */
  readonly #byScope: Readonly<Record<Caller, Map<string, TokenPlan>>> = { app: new Map(), user: new Map(), configured: new Map() }
  readonly #byText = new Map<string, TokenPlan>()

  /** @param max how many of each kind are remembered */
  constructor (max = 1_000) {
    this.#max = max
  }

  get (caller: Caller, scope: unknown, options: unknown): TokenPlan | undefined {
    if (options === undefined && typeof scope === 'string') return this.#byScope[caller].get(scope)
    const text = textOfAll(caller, scope, options)
    return text === undefined ? undefined : this.#byText.get(text)
  }

  set (caller: Caller, scope: unknown, options: unknown, plan: TokenPlan): void {
    if (options === undefined && typeof scope === 'string') return this.#keep(this.#byScope[caller], scope, plan)
    const text = textOfAll(caller, scope, options)
    if (text !== undefined) this.#keep(this.#byText, text, plan)
  }

  #keep (plans: Map<string, TokenPlan>, said: string, plan: TokenPlan): void {
    plans.set(said, plan)
    const [oldest] = plans.keys()
    if (plans.size > this.#max) plans.delete(oldest!)
  }
}

function textOfAll (caller: Caller, scope: unknown, options: unknown): string | undefined {
  const ofScope = textOf(scope)
  const ofOptions = options === undefined ? '' : textOf(options)
  return ofScope === undefined || ofOptions === undefined ? undefined : `${caller}.${ofScope}${ofOptions}`
}

/** Plain data as text, each its own; `undefined` where it is more than data, or long. An id that is `undefined` is no data: it would be taken for none. */
function textOf (value: unknown, depth = 0): string | undefined {
  if (typeof value === 'string') return value.length > MAX_TEXT ? undefined : `${value.length}:${value}`
  if (typeof value === 'boolean' || typeof value === 'number') return `${value};`
  if (!isPlain(value) || depth === MAX_DEPTH) return undefined
  // A list with holes is one with parts that are undefined.
  return textOfParts((Array.isArray(value) ? [...value] : value) as Readonly<Record<string, unknown>>, depth + 1)
}

function textOfParts (parts: Readonly<Record<string, unknown>>, depth: number): string | undefined {
  const isList = Array.isArray(parts)
  let text = isList ? '[' : '{'
  for (const key of Object.keys(parts)) {
    const part = textOf(parts[key], depth)
    if (part === undefined) return undefined
    text += isList ? part : `${key.length}:${key}${part}`
  }
  return text.length > MAX_TEXT ? undefined : `${text}.`
}
