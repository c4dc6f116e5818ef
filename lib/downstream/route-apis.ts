import { missingOf, type ApiConfiguration, type Configuration } from '../configuration/configuration.ts'
import type { AcquireTokenOptions, DownstreamApiOptions, ManagedIdentityOptions } from '../configuration/schema.ts'
import { sessionFault } from '../configuration/api-configuration.ts'
import { applyOverride } from '../configuration/override.ts'
import { collecting } from '../configuration/collecting.ts'
import { ConfigurationError, IdentityNotAllowedError } from '../errors.ts'
import type { Caller, Identity } from '../tokens/identity.ts'
import type { ApiName } from './api-names.ts'

/** What a route declares of one of its APIs: as whom it is called, and what differs from its section. */
export interface RouteApiOptions extends Partial<DownstreamApiOptions> {
  /** The only identity that the route's requests reach the API with. Without it, the method decides. */
  identity?: Identity
}

/** What a route declares, by service name. */
export type RouteApisOptions = Partial<Record<ApiName, RouteApiOptions>>

/** An API as one route calls it. */
export interface RouteApi {
  readonly identity: Identity | undefined
  /** The section with the route's options, and with nothing left that speaks for another identity than the declared one. */
  readonly api: ApiConfiguration
}

const identities: readonly Identity[] = ['client-credential', 'managed-identity', 'user']

/**
 * What a route declares, checked against the configuration.
 *
 * @param where names the route in the faults
 * @param hasInbound whether callers are validated
 * @throws ConfigurationError with every fault
 */
export function parseRouteApis (declared: unknown, configuration: Configuration, where: string, hasInbound: boolean): ReadonlyMap<string, RouteApi> {
  if (typeof declared !== 'object' || declared === null || Array.isArray(declared)) {
    throw new ConfigurationError([`${where}: expected an object with one entry per downstream API`])
  }
  const faults: string[] = []
  const routeApis = new Map<string, RouteApi>()
  for (const [name, options] of Object.entries(declared)) {
    const routeApi = collecting(faults, () => parseRouteApi(name, options, configuration, `${where}.${name}`, hasInbound))
    if (routeApi !== undefined) routeApis.set(name, routeApi)
  }
  if (faults.length > 0) throw new ConfigurationError(faults)
  return routeApis
}

function parseRouteApi (name: string, options: unknown, configuration: Configuration, where: string, hasInbound: boolean): RouteApi {
  const base = configuration.apis.get(name)
  if (base === undefined) throw new ConfigurationError([`${where}: no downstream API is configured under this name; names are case-sensitive, and there is ${[...configuration.apis.keys()].join(', ') || 'none'}`])
  if (typeof options !== 'object' || options === null || Array.isArray(options)) throw new ConfigurationError([`${where}: expected an object`])

  const faults: string[] = []
  const { identity, override } = splitIdentity(options as Record<string, unknown>, where, faults)
  const given = collecting(faults, () => applyOverride(base, override, where, { baseUrl: true }))
  if (given !== undefined && identity !== undefined) {
    faults.push(...[...contradictions(identity, base, given), ...unservable(identity, given, configuration, hasInbound)].map(fault => `${where}.identity: ${fault}`))
  }
  const fault = given && sessionFault(given)
  if (fault !== undefined) faults.push(`${where}.acquireTokenOptions.longRunningWebApiSessionKey: ${fault}`)
  if (given === undefined || faults.length > 0) throw new ConfigurationError(faults)
  return { identity, api: identity === undefined ? given : only(identity, given) }
}

/** The identity, whatever the letter case of its key, and what is left. */
function splitIdentity (options: Record<string, unknown>, where: string, faults: string[]): { identity: Identity | undefined, override: object } {
  const isIdentity = (key: string) => key.toLowerCase() === 'identity'
  const [key, value] = Object.entries(options).find(([key]) => isIdentity(key)) ?? []
  const identity = identities.find(known => known === value)
  if (value !== undefined && identity === undefined) faults.push(`${where}.${key}: expected ${identities.map(known => `'${known}'`).join(', ')}`)
  return { identity, override: Object.fromEntries(Object.entries(options).filter(([key]) => !isIdentity(key))) }
}

/** The API with options that speak for `identity` alone. */
function only (identity: Identity, api: ApiConfiguration): ApiConfiguration {
  const { managedIdentity = {}, ...others } = api.acquireTokenOptions
  const acquireTokenOptions = identity === 'managed-identity' ? { ...others, managedIdentity } : others
  return Object.freeze({ ...api, requestAppToken: identity !== 'user', acquireTokenOptions: Object.freeze(acquireTokenOptions) })
}

/** A managed identity that the section has is taken back by the route; one that the route itself gives is a contradiction. */
function contradictions (identity: Identity, base: ApiConfiguration, given: ApiConfiguration): string[] {
  const own = given.acquireTokenOptions.managedIdentity
  return own && !sameManagedIdentity(own, base.acquireTokenOptions.managedIdentity) && identity !== 'managed-identity' ? [`'${identity}' contradicts the managed identity that the route gives beside it`] : []
}

/** Why the configuration cannot serve `identity` for this API. */
function unservable (identity: Identity, api: ApiConfiguration, configuration: Configuration, hasInbound: boolean): string[] {
  if (identity === 'user' && !hasInbound) return ['\'user\' needs inbound validation of the caller, which is not on: set the option inbound']
  if (api.scopes.length === 0) return [`'${identity}' needs a token, and the API has no scopes`]
  if (identity === 'managed-identity') return []

  const app = configuration.app(api.acquireTokenOptions.authenticationOptionsName)
  if (app === undefined) return [`'${identity}' needs the app section "${api.acquireTokenOptions.authenticationOptionsName ?? 'AzureAd'}", and there is none`]
  return missingOf(app).map(missing => `'${identity}' needs the app section "${app.name}" to be complete, and it lacks ${missing}`)
}

/**
 * The identity that a route declares for an API, when nothing in the call asks for another.
 *
 * @param declared the API as the route declares it
 * @param called the same with the call's override
 * @throws IdentityNotAllowedError
 */
export function requireDeclaredIdentity (identity: Identity, caller: Caller, declared: ApiConfiguration, called: ApiConfiguration): Identity {
  const asked = caller === 'configured' || (caller === 'user') === (identity === 'user')
  const same = called.requestAppToken === declared.requestAppToken && sameAcquisition(declared.acquireTokenOptions, called.acquireTokenOptions)
  if (!asked || !same) {
    throw new IdentityNotAllowedError(`The route declares '${identity}' for ${declared.name}, and the call asks for another identity: change the call, or the route's config.downstreamApi`)
  }
  return identity
}

/** Whether both name the same app section and managed identity. */
export function sameAcquisition (a: AcquireTokenOptions, b: AcquireTokenOptions): boolean {
  return a.authenticationOptionsName === b.authenticationOptionsName && sameManagedIdentity(a.managedIdentity, b.managedIdentity)
}

function sameManagedIdentity (a: ManagedIdentityOptions | undefined, b: ManagedIdentityOptions | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.userAssignedClientId === b.userAssignedClientId && a.userAssignedObjectId === b.userAssignedObjectId && a.userAssignedResourceId?.toLowerCase() === b.userAssignedResourceId?.toLowerCase()
}
