import { ConfigurationError } from '../errors.ts'
import { acquireTokenOptions, downstreamApiDefaults, downstreamApiOptions, type AcquireTokenOptions, type DownstreamApiOptions } from './api-options.ts'
import type { ApiConfiguration } from './configuration.ts'
import { deepCopy, deepFreeze } from './freeze.ts'
import { isSection } from './own-entries.ts'
import { readOptions } from './read-options.ts'

/** The options that are merged per key; all others are replaced whole. */
const mergedPerKey = ['acquireTokenOptions', 'extraHeaderParameters', 'extraQueryParameters', 'pathParameters', 'query'] as const

/**
 * The API with what `override` changes of it, as a new value.
 *
 * @param where path of the override, for the faults
 * @throws ConfigurationError with every fault; another `baseUrl` is one, unless it is allowed
 */
export function applyOverride (base: ApiConfiguration, override: object, where: string, allow: { baseUrl: boolean }): ApiConfiguration {
  const faults: string[] = []
  const parsed = readOptions(downstreamApiOptions, override, where, faults)
  if (parsed === undefined) throw new ConfigurationError(faults)
  if (!allow.baseUrl) requireSameBaseUrl(parsed.baseUrl, base, where)

  const merged: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(parsed)) {
    const before = merged[key]
    const perKey = (mergedPerKey as readonly string[]).includes(key) && isSection(before)
    merged[key] = perKey ? { ...before, ...value as object } : value
  }
  if (parsed.baseUrl !== undefined) merged['baseUrl'] = new URL(parsed.baseUrl).href
  return deepFreeze(merged) as unknown as ApiConfiguration
}

/**
 * The API as a function of the user's has left the copy that it was given.
 *
 * @throws ConfigurationError with every fault
 */
export function checkApi (candidate: object, base: ApiConfiguration, where: string): ApiConfiguration {
  const faults: string[] = []
  const parsed = readOptions(downstreamApiOptions, candidate, where, faults)
  if (parsed === undefined) throw new ConfigurationError(faults)
  requireSameBaseUrl(parsed.baseUrl, base, where)
  return deepFreeze({ ...downstreamApiDefaults, ...parsed, name: base.name, baseUrl: base.baseUrl }) as unknown as ApiConfiguration
}

function requireSameBaseUrl (baseUrl: string | undefined, base: ApiConfiguration, where: string): void {
  if (baseUrl !== undefined && new URL(baseUrl).href !== base.baseUrl) {
    throw new ConfigurationError([`${where}.baseUrl: cannot be changed by a call, since the token belongs to the configured one`])
  }
}

/** The deep copy that is handed to a function of the user's. */
export function mutableCopy ({ name: _, ...options }: ApiConfiguration): DownstreamApiOptions {
  return deepCopy(options) as unknown as DownstreamApiOptions
}

/** @throws ConfigurationError with every fault */
export function checkAcquireTokenOptions (options: object, where: string): AcquireTokenOptions {
  const faults: string[] = []
  const parsed = readOptions(acquireTokenOptions, options, where, faults)
  if (parsed === undefined) throw new ConfigurationError(faults)
  return parsed as AcquireTokenOptions
}
