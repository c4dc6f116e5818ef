import type * as v from 'valibot'
import { ConfigurationError } from '../errors.ts'
import { parseApp, type AppConfiguration } from './app-configuration.ts'
import { downstreamApiDefaults, downstreamApiOptions, type AcquireTokenOptions, type DownstreamApiOptions } from './api-options.ts'
import type { AzureAdOptions } from './app-options.ts'
import { deepFreeze } from './freeze.ts'
import { findEntry, isSection } from './own-entries.ts'
import { readOptions } from './read-options.ts'
import { fromJson, sectionsOf } from './sections.ts'
import { suggestion } from './suggestion.ts'
import { missingOf } from './app-configuration.ts'

export { missingOf, type AppConfiguration, type ClientCredentialConfiguration } from './app-configuration.ts'

type Section = Record<string, unknown>
type ApiOptions = v.InferOutput<typeof downstreamApiOptions>

/** What the configuration is made from. */
export interface ConfigurationInput {
  /** The sections: `fastify.config`, the `config` option or `loadAppSettings()`. */
  source?: unknown
  /** The app section: its name, or its options. Default: 'AzureAd'. */
  azureAd?: string | AzureAdOptions
  /** Which sections are downstream APIs, by service name. Default: those under `DownstreamApis`, and every section with a `BaseUrl`. */
  downstreamApis?: readonly string[] | Readonly<Record<string, string | DownstreamApiOptions>>
}

/** A downstream API with all its options; frozen. */
export interface ApiConfiguration extends Readonly<Omit<ApiOptions, 'scopes' | 'acquireTokenOptions' | keyof typeof downstreamApiDefaults>> {
  readonly name: string
  readonly baseUrl: string
  readonly relativePath: string
  readonly httpMethod: string
  readonly scopes: readonly string[]
  readonly requestAppToken: boolean
  readonly acceptHeader: string
  readonly contentType: string
  readonly extraHeaderParameters: Readonly<Record<string, string>>
  readonly extraQueryParameters: Readonly<Record<string, string>>
  readonly acquireTokenOptions: AcquireTokenOptions
  readonly timeout: number
  readonly retry: number
}

/** The sections, read and checked; frozen. */
export interface Configuration {
  /** By their exact service names. */
  readonly apis: ReadonlyMap<string, ApiConfiguration>
  /** The default app section, or the one named; `undefined` when there is none. A named one is read when it is first asked for, and throws ConfigurationError when it has faults. */
  app (name?: string): AppConfiguration | undefined
  /** What is read but will not do what it says. */
  readonly warnings: readonly string[]
}

/** @throws ConfigurationError with every fault */
export function parseConfiguration ({ source, azureAd = 'AzureAd', downstreamApis }: ConfigurationInput): Configuration {
  const faults: string[] = []
  const warnings: string[] = []
  const sections = sectionsOf(source, faults)

  const apps = new Map<string, AppConfiguration | undefined>()
  const readApp = (name: string, faults: string[]): AppConfiguration | undefined => {
    const key = name.toLowerCase()
    if (!apps.has(key)) {
      const entry = findEntry(sections, name)
      apps.set(key, entry && parseApp(...readable(entry), faults, warnings))
    }
    return apps.get(key)
  }

  const isInline = typeof azureAd !== 'string'
  const defaultApp = isInline ? parseApp('AzureAd', azureAd, faults, warnings) : readApp(azureAd, faults)
  if (!isInline && azureAd !== 'AzureAd' && !findEntry(sections, azureAd)) faults.push(missingSection('options.azureAd', azureAd, sections))

  const apis = new Map<string, ApiConfiguration>()
  const appNames = isInline ? ['azuread'] : ['azuread', azureAd.toLowerCase()]
  for (const [name, where, options] of apiSections(sections, downstreamApis, appNames, faults)) {
    const api = parseApi(name, where, options, faults)
    if (api === undefined) continue
    apis.set(name, api)
    checkAppOf(api, where)
  }
  if (faults.length > 0) throw new ConfigurationError(unique(faults))

  return Object.freeze({
    apis,
    warnings: Object.freeze(warnings),
    app (name?: string) {
      if (name === undefined) return defaultApp
      const faults: string[] = []
      const app = readApp(name, faults)
      if (faults.length === 0) return app
      apps.delete(name.toLowerCase())
      throw new ConfigurationError(faults)
    },
  })

  /** An app section that an API names must be there; one that it needs must be complete. */
  function checkAppOf ({ scopes, acquireTokenOptions }: ApiConfiguration, where: string): void {
    const { authenticationOptionsName: name, managedIdentity } = acquireTokenOptions
    if (name !== undefined && !findEntry(sections, name)) faults.push(missingSection(`${where}.AcquireTokenOptions.AuthenticationOptionsName`, name, sections))
    const app = name === undefined ? defaultApp : readApp(name, faults)
    const needed = scopes.length > 0 && managedIdentity === undefined
    if (app === undefined || !needed || !app.isIdentity) return
    for (const missing of missingOf(app)) faults.push(`${app.name}.${missing}: is missing, and ${where} needs it`)
  }
}

function parseApi (name: string, where: string, options: unknown, faults: string[]): ApiConfiguration | undefined {
  const parsed = readOptions(downstreamApiOptions, options, where, faults)
  if (parsed === undefined) return undefined
  if (parsed.baseUrl === undefined) {
    faults.push(`${where}.BaseUrl: is missing`)
    return undefined
  }
  return deepFreeze({ ...downstreamApiDefaults, ...parsed, name, baseUrl: new URL(parsed.baseUrl).href }) as unknown as ApiConfiguration
}

type ApiSection = [name: string, where: string, options: unknown]

function apiSections (sections: Section, wanted: ConfigurationInput['downstreamApis'], appNames: readonly string[], faults: string[]): ApiSection[] {
  if (wanted !== undefined) return wantedSections(sections, wanted, faults)

  const [groupName, group] = findEntry(sections, 'DownstreamApis') ?? []
  const children = asSection(group)
  if (group !== undefined && children === undefined) faults.push(`${groupName}: expected an object`)
  const grouped = Object.entries(children ?? {}).map(([name, options]): ApiSection => [name, `${groupName}.${name}`, fromJson(options)])
  const topLevel = Object.entries(sections)
    .filter(([name]) => !appNames.includes(name.toLowerCase()) && name !== groupName)
    .map(([name, value]): ApiSection => [name, name, asSection(value)])
    .filter(([, , options]) => options !== undefined && findEntry(options as Section, 'BaseUrl'))
  for (const [name, where] of topLevel) {
    if (grouped.some(([other]) => other === name)) faults.push(`${where}: there is an API of this name under ${groupName} too`)
  }
  return [...grouped, ...topLevel]
}

function wantedSections (sections: Section, wanted: NonNullable<ConfigurationInput['downstreamApis']>, faults: string[]): ApiSection[] {
  const entries = Array.isArray(wanted) ? wanted.map((name: string) => [name, name] as const) : Object.entries(wanted)
  const found: ApiSection[] = []
  for (const [name, section] of entries) {
    if (typeof section !== 'string') found.push([name, `options.downstreamApis.${name}`, section])
    else {
      const entry = findSection(sections, section)
      if (entry) found.push([name, ...entry])
      else faults.push(missingSection(`options.downstreamApis${Array.isArray(wanted) ? '' : `.${name}`}`, section, sections))
    }
  }
  return found
}

/** The section at a path such as `DownstreamApis:MyWebApi`; a bare name is looked for among the top-level sections, then under `DownstreamApis`. */
function findSection (sections: Section, path: string): [where: string, options: unknown] | undefined {
  const at = (path: string) => path.split(':').reduce<[string[], unknown] | undefined>((parent, part) => {
    const entry = parent && isSection(parent[1]) ? findEntry(parent[1], part) : undefined
    return entry && [[...parent![0], entry[0]], fromJson(entry[1])]
  }, [[], sections])
  const found = at(path) ?? (path.includes(':') ? undefined : at(`DownstreamApis:${path}`))
  return found && [found[0].join('.'), found[1]]
}

function missingSection (where: string, name: string, sections: Section): string {
  const meant = suggestion(name, Object.keys(sections))
  return `${where}: there is no section "${name}"${meant === undefined ? '' : `, did you mean "${meant}"?`}`
}

function readable ([name, value]: [string, unknown]): [string, unknown] {
  return [name, fromJson(value)]
}

function asSection (value: unknown): Section | undefined {
  const section = fromJson(value)
  return isSection(section) ? section : undefined
}

function unique (faults: readonly string[]): string[] {
  return [...new Set(faults)]
}
