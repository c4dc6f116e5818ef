import type { ApiConfiguration, ApiOptions } from './api-configuration.ts'

type Section = Readonly<Record<string, unknown>>
type Merge = (base: Section, over: Section) => Section

const perKey: Merge = (base, over) => ({ ...base, ...over })

/** Names of headers mean the same in any letter case. */
const perHeader: Merge = (base, over) => {
  const replaced = new Set(Object.keys(over).map(name => name.toLowerCase()))
  return { ...Object.fromEntries(Object.entries(base).filter(([name]) => !replaced.has(name.toLowerCase()))), ...over }
}

/** Replaces what has no merge of its own; `managedIdentity` and lists are among it. */
const perOption = (merges: Readonly<Record<string, Merge>>): Merge => (base, over) => {
  const merged: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const merge = base[key] === undefined ? undefined : merges[key]
    merged[key] = merge === undefined ? value : merge(base[key] as Section, value as Section)
  }
  return merged
}

const acquireTokenOptions = perOption({ extraQueryParameters: perKey, extraHeadersParameters: perHeader })
const api = perOption({ acquireTokenOptions, extraHeaderParameters: perHeader, extraQueryParameters: perKey, pathParameters: perKey, query: perKey })

/** The API with what `options` changes of it, in a new object; both have been checked. */
export function mergeApi (base: ApiConfiguration, options: ApiOptions): object {
  return api(base as unknown as Section, options as Section)
}
