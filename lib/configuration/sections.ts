import { ConfigurationError } from '../errors.ts'
import { isFlat, setFlat } from './flat-keys.ts'
import { deepCopy } from './freeze.ts'
import { fromJson } from './json-text.ts'
import { entriesOf, isSection } from './own-entries.ts'
import { isPrototypeKey, prototypeKeyFault, refusePrototypeKeys } from './prototype-keys.ts'
import { suggestion } from './suggestion.ts'

export type Sections = Record<string, unknown>

/** A section: where it stands, as it is spelt there, and what stands there. */
export interface FoundSection {
  readonly where: string
  readonly value: unknown
}

/**
 * The sections that a configuration source holds: flat `AzureAd__TenantId` keys are unfolded into the sections they belong to,
 * and go before what stands there.
 *
 * @param faults prototype keys are refused wherever they come from
 */
export function sectionsOf (source: unknown, faults: string[]): Sections {
  if (source === undefined || source === null) return {}
  if (!isSection(source)) throw new ConfigurationError(['the configuration: expected an object'])

  const sections: Sections = {}
  for (const [key, value] of Object.entries(source)) {
    if (isPrototypeKey(key)) faults.push(prototypeKeyFault(key))
    else if (!isFlat(key) && value !== undefined && value !== null) {
      refusePrototypeKeys(fromJson(value), key, faults)
      // A section may be read later, and must be what it was.
      sections[key] = deepCopy(value)
    }
  }
  for (const [key, value] of Object.entries(source)) {
    if (isFlat(key)) setFlat(sections, key, value, faults)
  }
  return sections
}

/** The section at a path such as `DownstreamApis:MyWebApi`, in any letter case. */
export function findSection (sections: Sections, path: string, faults: string[]): FoundSection | undefined {
  let found: FoundSection | undefined
  for (const part of path.split(':')) {
    const at: unknown = found === undefined ? sections : fromJson(found.value)
    const entries = isSection(at) ? entriesOf(at, part) : []
    const parent = found === undefined ? '' : `${found.where}.`
    const [entry] = entries
    if (entry === undefined) return undefined
    if (entries.length > 1) faults.push(twinFault(entries.map(([name]) => `${parent}${name}`)))
    found = { where: `${parent}${entry[0]}`, value: entry[1] }
  }
  return found
}

/** The fault that sections are which go by the same name. */
export function twinFault (names: readonly string[]): string {
  return `${names.join(' and ')}: the same name twice; letter case does not tell them apart`
}

/** The fault that a named section is which is not there. */
export function missingSection (where: string, name: string, sections: Sections, parent?: unknown): string {
  // Somebody may have put the section itself, with its secrets, where its name belongs.
  if (!/^[\w.: -]{1,100}$/.test(name)) return `${where}: expected the name of a section`
  const names = [sections, parent].flatMap(names => isSection(names) ? Object.entries(names) : []).filter(([, value]) => isSection(fromJson(value))).map(([name]) => name)
  const meant = suggestion(name, names)
  return `${where}: there is no section "${name}"${meant === undefined ? '' : `, did you mean "${meant}"?`}`
}
