import { fromJson, isJsonText } from './json-text.ts'
import { findEntry, isSection } from './own-entries.ts'
import { isPrototypeKey, prototypeKeyFault } from './prototype-keys.ts'

type Section = Record<string, unknown>

const separator = /__|:/

/** Whether a key names a value inside a section, as .NET writes it into the environment: `AzureAd__TenantId` or `AzureAd:TenantId`. */
export function isFlat (key: string): boolean {
  return /^[^_:=].*?(__|:)./.test(key) && !key.startsWith('npm_')
}

/** Sets what `key`, as in `AzureAd__ClientCredentials__0__ClientSecret`, names; the objects on its way are copied, never changed. */
export function setFlat (sections: Section, key: string, value: unknown, faults: string[]): void {
  const path = key.split(separator)
  // `AzureAd____proto____x` is split inside of the name that it reaches for.
  if (path.some(isPrototypeKey) || /__proto__/i.test(key)) {
    faults.push(prototypeKeyFault(key))
    return
  }
  let at = sections
  for (const [index, part] of path.slice(0, -1).entries()) {
    const [spelling, existing] = findEntry(at, part) ?? [part, undefined]
    const container = containerFor(path[index + 1]!, fromJson(existing))
    if (container === undefined) return
    at = (at[spelling] = container) as Section
  }
  const name = path.at(-1)!
  const [spelling] = findEntry(at, name) ?? [name]
  at[spelling] = value
}

/** What to write `next` into: a copy of what is there, or a new list or section as `next` asks for; nothing when there is broken JSON, which is told when it is read. */
function containerFor (next: string, existing: unknown): object | undefined {
  if (isJsonText(existing)) return undefined
  const isIndex = /^(0|[1-9]\d{0,2})$/.test(next)
  if (Array.isArray(existing)) return isIndex ? existing.slice() : { ...existing }
  if (isSection(existing)) return { ...existing }
  return isIndex ? [] : {}
}
