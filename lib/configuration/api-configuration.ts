import type * as v from 'valibot'
import type { AcquireTokenOptions } from './acquire-token-options.ts'
import { downstreamApiDefaults, downstreamApiOptions } from './api-options.ts'
import { deepFreeze } from './freeze.ts'
import { readOptions } from './read-options.ts'

export type ApiOptions = v.InferOutput<typeof downstreamApiOptions>

/** A downstream API with all its options; frozen. */
export interface ApiConfiguration extends Readonly<Omit<ApiOptions, 'acquireTokenOptions' | keyof typeof downstreamApiDefaults>> {
  readonly name: string
  readonly baseUrl: string
  readonly relativePath: string
  readonly httpMethod: string
  readonly scopes: readonly string[]
  readonly requestAppToken: boolean
  readonly protocolScheme: 'Bearer'
  readonly acceptHeader: string
  readonly contentType: string
  readonly extraHeaderParameters: Readonly<Record<string, string>>
  readonly extraQueryParameters: Readonly<Record<string, string>>
  readonly acquireTokenOptions: AcquireTokenOptions
  readonly timeout: number
  readonly retry: number
}

/** The downstream API `name`; `undefined` when it has faults, which are added to `faults`. */
export function parseApi (name: string, where: string, section: unknown, faults: string[]): ApiConfiguration | undefined {
  const options = readOptions(downstreamApiOptions, section, where, faults, { jsonText: true })
  if (options === undefined) return undefined
  if (options.baseUrl === undefined) {
    faults.push(`${where}.BaseUrl: is missing`)
    return undefined
  }
  const fault = sessionFault(options)
  if (fault !== undefined) faults.push(`${where}.AcquireTokenOptions.LongRunningWebApiSessionKey: ${fault}`)
  return completeApi(name, options.baseUrl, options)
}

/** What is wrong with a session key that all calls would share. */
export function sessionFault ({ acquireTokenOptions }: Pick<ApiOptions, 'acquireTokenOptions'>): string | undefined {
  return acquireTokenOptions?.longRunningWebApiSessionKey === undefined ? undefined : 'is of one user, and belongs into the options of a call'
}

/** The API with every default filled in. */
export function completeApi (name: string, baseUrl: string, options: ApiOptions): ApiConfiguration {
  return freezeApi({ ...downstreamApiDefaults, ...options, name, baseUrl: new URL(baseUrl).href })
}

/** The API, frozen all through; its dispatcher belongs to somebody else, and is left as it is. */
export function freezeApi (api: object): ApiConfiguration {
  for (const [key, value] of Object.entries(api)) {
    if (key !== 'dispatcher') deepFreeze(value)
  }
  return Object.freeze(api) as ApiConfiguration
}
