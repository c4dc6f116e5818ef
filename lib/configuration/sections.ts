import { ConfigurationError } from '../errors.ts'
import { findEntry, isPrototypeKey, isSection } from './own-entries.ts'

type Section = Record<string, unknown>

/**
 * The sections that a configuration source holds: flat `AzureAd__TenantId` keys are unfolded into the sections they belong to,
 * and go before what stands there.
 *
 * @param faults prototype keys are refused wherever they come from
 */
export function sectionsOf (source: unknown, faults: string[]): Section {
  if (source === undefined || source === null) return {}
  if (!isSection(source)) throw new ConfigurationError(['the configuration: expected an object'])

  const sections: Section = {}
  for (const [key, value] of Object.entries(source)) {
    if (isPrototypeKey(key)) faults.push(`${key}: this key is not allowed`)
    else if (!isFlat(key) && value !== undefined && value !== null) sections[key] = value
  }
  for (const [key, value] of Object.entries(source)) {
    if (isFlat(key)) setFlat(sections, key, value, faults)
  }
  return sections
}

/** Whether a key names a value inside a section, as .NET writes it into the environment. */
export function isFlat (key: string): boolean {
  return /^[^_].*?__./.test(key) && !key.startsWith('npm_')
}

/** Sets what `key`, as in `AzureAd__ClientCredentials__0__ClientSecret`, names; the objects on its way are copied, never changed. */
export function setFlat (sections: Section, key: string, value: unknown, faults: string[]): void {
  const path = key.split('__')
  if (path.some(isPrototypeKey)) {
    faults.push(`${key}: this key is not allowed`)
    return
  }
  let at = sections
  for (const [index, part] of path.entries()) {
    const [spelling, existing] = findEntry(at, part) ?? [part, undefined]
    if (index === path.length - 1) at[spelling] = value
    else at = (at[spelling] = copyOf(existing, path[index + 1]!)) as Section
  }
}

/** A copy to write `next` into: of what is there, or a new list or section as `next` asks for. */
function copyOf (existing: unknown, next: string): unknown {
  const section = fromJson(existing)
  if (Array.isArray(section)) return [...section as unknown[]]
  if (isSection(section)) return { ...section }
  return /^\d{1,3}$/.test(next) ? [] : {}
}

/** A section that is given as JSON text in one variable, parsed; anything else as it is. */
export function fromJson (value: unknown): unknown {
  if (typeof value !== 'string' || !/^\s*[{[]/.test(value)) return value
  try {
    return JSON.parse(value) as unknown
  } catch {
    return value
  }
}
