import type * as v from 'valibot'
import { ConfigurationError } from '../errors.ts'
import { acquireTokenOptions, authorizationHeaderOptions, type AcquireTokenOptions } from './acquire-token-options.ts'
import { completeApi, freezeApi, type ApiConfiguration, type ApiOptions } from './api-configuration.ts'
import { downstreamApiOptions, type DownstreamApiOptions } from './api-options.ts'
import { deepCopy } from './freeze.ts'
import { mergeApi } from './merge.ts'
import { findEntry, isSection } from './own-entries.ts'
import { readOptions } from './read-options.ts'

/**
 * The API with what `override` changes of it, as a new value.
 *
 * @param where path of the override, for the faults
 * @throws ConfigurationError with every fault; another `baseUrl` is one, unless it is allowed
 */
export function applyOverride (base: ApiConfiguration, override: object, where: string, allow: { baseUrl: boolean }): ApiConfiguration {
  const faults: string[] = []
  const options = readOptions(downstreamApiOptions, override, where, faults)
  if (!allow.baseUrl) requireSameBaseUrl(override, base, where, faults)
  if (options === undefined || faults.length > 0) throw new ConfigurationError(faults)

  const baseUrl = allow.baseUrl && options.baseUrl !== undefined ? new URL(options.baseUrl).href : base.baseUrl
  return freezeApi({ ...mergeApi(base, options), baseUrl })
}

/**
 * The API as a function of the user's has left the copy that it was given.
 *
 * @throws ConfigurationError with every fault
 */
export function checkApi (candidate: object, base: ApiConfiguration, where: string): ApiConfiguration {
  const faults: string[] = []
  const options = readOptions(downstreamApiOptions, candidate, where, faults)
  requireSameBaseUrl(candidate, base, where, faults)
  if (options === undefined || faults.length > 0) throw new ConfigurationError(faults)
  return completeApi(base.name, base.baseUrl, options)
}

/** The token belongs to the configured URL; one that is no URL at all is refused by the schema. */
function requireSameBaseUrl (override: object, base: ApiConfiguration, where: string, faults: string[]): void {
  const [key, baseUrl] = isSection(override) ? findEntry(override, 'baseUrl') ?? [] : []
  if (typeof baseUrl === 'string' && URL.canParse(baseUrl) && new URL(baseUrl).href !== base.baseUrl) {
    faults.push(`${where}.${key}: cannot be changed by a call, since the token belongs to the configured one`)
  }
}

/** The deep copy that is handed to a function of the user's; functions, signals and dispatchers are the same ones. */
export function mutableCopy ({ name: _, dispatcher, ...options }: ApiConfiguration): DownstreamApiOptions {
  const copy: ApiOptions = deepCopy(options) as unknown as ApiOptions
  if (dispatcher !== undefined) copy.dispatcher = dispatcher
  return copy as DownstreamApiOptions
}

/** @throws ConfigurationError with every fault */
export function checkAcquireTokenOptions (options: unknown, where: string): AcquireTokenOptions {
  return check(acquireTokenOptions, options, where) as AcquireTokenOptions
}

/** @throws ConfigurationError with every fault */
export function checkAuthorizationHeaderOptions (options: unknown, where: string): { requestAppToken?: boolean, acquireTokenOptions?: AcquireTokenOptions } {
  return check(authorizationHeaderOptions, options, where) as ReturnType<typeof checkAuthorizationHeaderOptions>
}

function check<T extends v.GenericSchema> (schema: T, options: unknown, where: string): v.InferOutput<T> {
  const faults: string[] = []
  const checked = readOptions(schema, options, where, faults)
  if (checked === undefined) throw new ConfigurationError(faults)
  return checked
}
