import { hash } from 'node:crypto'
import type { Authority } from '../authorities/authority.ts'
import type { AppConfiguration } from '../configuration/configuration.ts'
import type { ManagedIdentityOptions } from '../configuration/schema.ts'
import type { Identity } from './identity.ts'
import type { Provider } from './retry-rules.ts'
import type { TokenEntry } from './token-entry.ts'
import type { WorkloadIdentity } from './workload-identity.ts'

/** What every request to Entra ID says. */
export interface EntraRequest {
  readonly app: AppConfiguration
  readonly authority: Authority
  readonly scopes: readonly string[]
  readonly claims: string | undefined
  readonly clientCapabilities: readonly string[]
  readonly extraQueryParameters: Readonly<Record<string, string>>
  readonly extraHeadersParameters: Readonly<Record<string, string>>
  readonly correlationId: string | undefined
}

/** An app asks for a token of its own, with its client credential. */
export interface ClientCredentialsRequest extends EntraRequest {
  readonly flow: 'clientCredentials'
  readonly fmiPath: string | undefined
}

/** An app asks for a token on behalf of the user whose token it was called with. */
export interface OnBehalfOfRequest extends EntraRequest {
  readonly flow: 'onBehalfOf'
  /** The caller's access token. */
  readonly userAssertion: string
  /** When that ends, in milliseconds since the epoch: no token for it is kept any longer. */
  readonly endsOn?: number | undefined
}

/** An app asks for a token on behalf of a user for whom it works on, after the user's own token has ended. */
export interface LongRunningRequest extends EntraRequest {
  readonly flow: 'longRunning'
  readonly sessionKey: string
  /** Whose session it is. */
  readonly owner: string
  /** The owner's tenant, whichever is asked. */
  readonly userTenant: string
  /** The caller's access token, with which the session begins, or begins anew; `undefined` where it can only go on. */
  readonly userAssertion: string | undefined
}

/** The identity of the Azure resource that the process runs on asks for a token. */
export interface ManagedIdentityRequest {
  readonly flow: 'managedIdentity'
  readonly managedIdentity: ManagedIdentityOptions
  /** What stands for it where no endpoint is asked, but a token in a file is exchanged. */
  readonly workloadIdentity?: WorkloadIdentity | undefined
  /** The scope without `/.default`. */
  readonly resource: string
  readonly scopes: readonly string[]
  readonly claims: string | undefined
  readonly clientCapabilities: readonly string[]
  readonly correlationId: string | undefined
}

/** Everything that a token depends on. */
export type TokenRequest = ClientCredentialsRequest | OnBehalfOfRequest | LongRunningRequest | ManagedIdentityRequest

/** The flows, by the names of their requests. */
export type Flow = TokenRequest['flow']

/** As whom the token of a flow lets call. */
export const identityOfFlow: Readonly<Record<Flow, Identity>> = Object.freeze({ clientCredentials: 'client-credential', onBehalfOf: 'user', longRunning: 'user', managedIdentity: 'managed-identity' })

/** Whether a token is asked for on behalf of a user. */
export function isOfUser<T extends { readonly flow: Flow }> (request: T): request is T & { readonly flow: 'onBehalfOf' | 'longRunning' } {
  return identityOfFlow[request.flow] === 'user'
}

/** What may be said of a request and its token; nothing of the user is in it. */
export interface TokenDescription {
  readonly flow: Flow
  /** Service name of the downstream API that the token is for; `undefined` for one that was asked for by itself. */
  readonly api: string | undefined
  readonly scopes: readonly string[]
  /** The tenant that is asked; `undefined` for a managed identity whose platform knows it. */
  readonly tenantId: string | undefined
  /** The app's or the workload identity's, or an id of the user-assigned identity; `undefined` for the system-assigned one. */
  readonly clientId: string | undefined
}

/** A request with what the engine needs to know of it, so that a call that is made often works nothing out again. */
export interface PreparedRequest {
  readonly request: TokenRequest
  /** The key under which the token is kept: one that was asked for with claims replaces the one without. */
  readonly key: string
  readonly provider: Provider
  /** Who is asked: what fails there fails for all who ask there. */
  readonly address: string
  /** When what is exchanged for the token ends, in milliseconds since the epoch: then it cannot be renewed. */
  readonly endsOn: number | undefined
  /** Outlives the request, which may hold a user assertion. */
  readonly description: TokenDescription
  /** What the engine had for it the last time. */
  entry: TokenEntry | undefined
}

/** The request is frozen down to its lists: descriptions of it, which anybody may see, share them. */
export function prepare (request: TokenRequest, api?: string): PreparedRequest {
  freezeRequest(request)
  const authority = authorityOf(request)
  return {
    entry: undefined,
    request,
    key: tokenKey(request.claims === undefined ? request : { ...request, claims: undefined }),
    provider: authority === undefined ? 'managed-identity' : 'entra-id',
    address: authority === undefined ? 'managed-identity' : addressOf(authority, request),
    endsOn: request.flow === 'onBehalfOf' ? request.endsOn : undefined,
    description: describe(request, api),
  }
}

/** Where Entra ID is asked; `undefined` where a managed identity endpoint is. */
function authorityOf (request: TokenRequest): Authority | undefined {
  return request.flow === 'managedIdentity' ? request.workloadIdentity?.authority : request.authority
}

/** A region fails by itself; it gives tokens to apps only. */
function addressOf ({ tokenEndpoint, region }: Authority, request: TokenRequest): string {
  return region === undefined || isOfUser(request) ? tokenEndpoint : `${tokenEndpoint} in ${region}`
}

function freezeRequest (request: TokenRequest): void {
  Object.freeze(request.scopes)
  if (request.flow !== 'managedIdentity') {
    Object.freeze(request.extraQueryParameters)
    Object.freeze(request.extraHeadersParameters)
  }
  Object.freeze(request)
}

function describe (request: TokenRequest, api: string | undefined): TokenDescription {
  const { flow, scopes } = request
  const authority = authorityOf(request)
  if (authority !== undefined) return Object.freeze({ flow, api, scopes, tenantId: authority.tenantId, clientId: authority.clientId })
  const { userAssignedClientId, userAssignedObjectId, userAssignedResourceId } = (request as ManagedIdentityRequest).managedIdentity
  return Object.freeze({ flow, api, scopes, tenantId: undefined, clientId: userAssignedClientId ?? userAssignedObjectId ?? userAssignedResourceId })
}

/** Prepares the requests of many users that differ in nothing but the user. */
export class UserRequests {
  readonly #like: PreparedRequest & { readonly request: OnBehalfOfRequest }
  readonly #keyPrefix: string

  /** @param like the request of any user */
  constructor (like: OnBehalfOfRequest, api?: string) {
    this.#like = prepare(like, api) as PreparedRequest & { readonly request: OnBehalfOfRequest }
    this.#keyPrefix = this.#like.key.slice(0, this.#like.key.indexOf('.') + 1)
  }

  /**
   * @param hash SHA-256 of the assertion, where it has been made already
   * @param endsOn when the assertion ends, in milliseconds since the epoch
   */
  of (userAssertion: string, hash = assertionHash(userAssertion), endsOn?: number): PreparedRequest {
    return new UserRequest(this.#like, userAssertion, this.#keyPrefix + hash, endsOn)
  }
}

class UserRequest implements PreparedRequest {
  // What a hit reads stands first.
  entry: TokenEntry | undefined
  readonly key: string
  readonly provider: Provider
  readonly address: string
  readonly endsOn: number | undefined
  readonly description: TokenDescription
  readonly #like: OnBehalfOfRequest
  readonly #userAssertion: string

  constructor (like: PreparedRequest & { readonly request: OnBehalfOfRequest }, userAssertion: string, key: string, endsOn: number | undefined) {
    this.key = key
    this.provider = like.provider
    this.address = like.address
    this.endsOn = endsOn
    this.description = like.description
    this.entry = undefined
    this.#like = like.request
    this.#userAssertion = userAssertion
  }

  get request (): OnBehalfOfRequest {
    return Object.freeze({ ...this.#like, userAssertion: this.#userAssertion, endsOn: this.endsOn })
  }
}

/**
 * One key for everything that the token depends on: not the correlation id, which only names the request, and not the region that is asked,
 * since all give the same token.
 * JSON keeps the parts apart, so no choice of values makes two different requests collide; the hash keeps it short. The user assertion,
 * which is all that differs between the users of an API, has a hash of its own behind it.
 */
export function tokenKey (request: TokenRequest): string {
  const key = hash('sha256', JSON.stringify(keyParts(request)), 'base64url')
  switch (request.flow) {
    case 'onBehalfOf': return `${key}.${assertionHash(request.userAssertion)}`
    case 'longRunning': return `${key}${sessionSuffix(request.sessionKey)}`
    default: return key
  }
}

/** What the keys of all tokens of a session end in. */
export function sessionSuffix (sessionKey: string): string {
  return `.session.${hash('sha256', sessionKey)}`
}

/** What the keys of all tokens of one caller or one session end in; `undefined` for what is nobody's in particular. */
export function suffixOf (key: string): string | undefined {
  const at = key.indexOf('.')
  return at < 0 ? undefined : key.slice(at)
}

function keyParts (request: TokenRequest): unknown[] {
  const common = [request.flow, request.scopes.toSorted(), request.claims ?? null, request.clientCapabilities.toSorted(), 'Bearer']
  switch (request.flow) {
    case 'clientCredentials': return [...common, ...entraParts(request), request.fmiPath ?? null]
    case 'onBehalfOf': return [...common, ...entraParts(request)]
    case 'longRunning': return [...common, ...entraParts(request), request.owner]
    case 'managedIdentity': {
      const { userAssignedClientId, userAssignedObjectId, userAssignedResourceId } = request.managedIdentity
      return [...common, userAssignedClientId ?? null, userAssignedObjectId ?? null, userAssignedResourceId ?? null, request.resource, ...request.workloadIdentity === undefined ? [] : authorityParts(request.workloadIdentity.authority)]
    }
  }
}

function entraParts ({ authority, app, extraQueryParameters, extraHeadersParameters }: EntraRequest): unknown[] {
  return [...authorityParts(authority), app.name, sortedEntries(extraQueryParameters), sortedEntries(extraHeadersParameters)]
}

function authorityParts ({ instance, tenantId, policy, clientId }: Authority): (string | null)[] {
  return [instance, tenantId, policy ?? null, clientId]
}

function assertionHash (userAssertion: string): string {
  return hash('sha256', userAssertion)
}

function sortedEntries (record: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(record).sort(([a], [b]) => a < b ? -1 : 1)
}
