import type { DownstreamApiOptions } from './api-options.ts'
import { fromJson, isJsonText } from './json-text.ts'
import { isSection } from './own-entries.ts'
import { isPrototypeKey, prototypeKeyFault } from './prototype-keys.ts'
import { findSection, missingSection, twinFault, type FoundSection, type Sections } from './sections.ts'
import { suggestion } from './suggestion.ts'

/** Which sections are downstream APIs: their names, or for each service name a section or its options. */
export type WantedApis = readonly string[] | Readonly<Record<string, string | DownstreamApiOptions>>

/** A section that is a downstream API. */
export interface ApiSection extends FoundSection {
  /** The service name, exactly as calls give it. */
  readonly name: string
}

/** The sections that `wanted` names, and no others. */
export function wantedApis (sections: Sections, wanted: WantedApis, faults: string[]): ApiSection[] {
  const entries = Array.isArray(wanted) ? wanted.map((name: string) => [name, name] as const) : Object.entries(wanted)
  return entries.flatMap(([name, section]: readonly [string, unknown]) => {
    const where = `options.downstreamApis${Array.isArray(wanted) ? '' : `.${name}`}`
    if (isPrototypeKey(name)) faults.push(prototypeKeyFault(where))
    else if (typeof section !== 'string') return { name, where, value: section }
    else {
      const found = findSection(sections, section, faults) ?? findSection(sections, `DownstreamApis:${section}`, faults)
      if (found !== undefined) return { name, ...found }
      faults.push(missingSection(where, section, sections, fromJson(findSection(sections, 'DownstreamApis', [])?.value)))
    }
    return []
  })
}

/**
 * The sections that are downstream APIs by themselves: those under `DownstreamApis`, and every top-level one with a `BaseUrl`.
 *
 * @param appNames top-level sections that are none
 */
export function foundApis (sections: Sections, appNames: readonly string[], faults: string[]): ApiSection[] {
  const group = findSection(sections, 'DownstreamApis', faults)
  const children = fromJson(group?.value)
  if (group !== undefined && !isSection(children)) faults.push(`${group.where}: expected an object${isJsonText(children) ? ', and the text is not valid JSON' : ''}`)

  const isNoApi = new Set(['downstreamapis', ...appNames.map(name => name.toLowerCase())])
  const apis = [
    ...Object.entries(isSection(children) ? children : {}).map(([name, value]) => ({ name, where: `${group!.where}.${name}`, value })),
    ...Object.entries(sections).filter(([name, value]) => !isNoApi.has(name.toLowerCase()) && isApi(value)).map(([name, value]) => ({ name, where: name, value })),
  ]
  faults.push(...prototypeFaults(apis), ...twinFaults(apis))
  return apis
}

/**
 * Whether a top-level section is a downstream API. One whose `BaseUrl` is misspelt, or whose JSON is broken, is one too:
 * it would be passed over without a word otherwise.
 */
function isApi (value: unknown): boolean {
  const section = fromJson(value)
  if (isJsonText(section)) return /"BaseUrl"\s*:/i.test(section)
  if (!isSection(section)) return false
  const keys = Object.keys(section).map(key => key.toLowerCase())
  const isLike = keys.some(key => /^[a-z\s]+$/.test(key) && suggestion(key, ['baseUrl']) !== undefined) && ['scopes', 'relativepath', 'requestapptoken', 'acquiretokenoptions'].some(key => keys.includes(key))
  return keys.includes('baseurl') || isLike
}

function prototypeFaults (apis: readonly ApiSection[]): string[] {
  return apis.filter(({ name }) => isPrototypeKey(name)).map(({ where }) => prototypeKeyFault(where))
}

function twinFaults (apis: readonly ApiSection[]): string[] {
  const byName = new Map<string, string[]>()
  for (const { name, where } of apis) byName.set(name.toLowerCase(), [...byName.get(name.toLowerCase()) ?? [], where])
  return [...byName.values()].filter(twins => twins.length > 1).map(twinFault)
}
