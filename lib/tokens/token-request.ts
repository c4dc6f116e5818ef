import { createHash } from 'node:crypto'
import type { AppConfiguration } from '../configuration/configuration.ts'
import type { ManagedIdentityOptions } from '../configuration/schema.ts'
import type { Authority } from './authority.ts'

/** An app asks for a token of its own, with its client credential. */
export interface ClientCredentialsRequest {
  readonly flow: 'clientCredentials'
  readonly app: AppConfiguration
  readonly authority: Authority
  readonly scopes: readonly string[]
  readonly claims: string | undefined
  readonly clientCapabilities: readonly string[]
  readonly fmiPath: string | undefined
  readonly extraQueryParameters: Readonly<Record<string, string>>
  readonly extraHeadersParameters: Readonly<Record<string, string>>
  readonly correlationId: string | undefined
}

/** The identity of the Azure resource that the process runs on asks for a token. */
export interface ManagedIdentityRequest {
  readonly flow: 'managedIdentity'
  readonly managedIdentity: ManagedIdentityOptions
  /** The scope without `/.default`. */
  readonly resource: string
  readonly scopes: readonly string[]
  readonly claims: string | undefined
  readonly clientCapabilities: readonly string[]
}

/** Everything that a token depends on. */
export type TokenRequest = ClientCredentialsRequest | ManagedIdentityRequest

/** The flows, by the names of their requests. */
export type Flow = TokenRequest['flow']

/**
 * One key for everything that the token depends on, the correlation id aside, which only names the request.
 * JSON keeps the parts apart, so no choice of values makes two different requests collide; the hash keeps it short.
 */
export function tokenKey (request: TokenRequest): string {
  return createHash('sha256').update(JSON.stringify(keyParts(request))).digest('base64url')
}

/** The key under which the token is kept: one that was asked for with claims replaces the one without. */
export function entryKey (request: TokenRequest): string {
  return tokenKey(request.claims === undefined ? request : { ...request, claims: undefined })
}

function keyParts (request: TokenRequest): unknown[] {
  const common = [request.flow, request.scopes.toSorted(), request.claims ?? null, request.clientCapabilities.toSorted(), 'Bearer']
  switch (request.flow) {
    case 'clientCredentials': {
      const { instance, tenantId, clientId } = request.authority
      return [...common, instance, tenantId, clientId, request.app.name, request.fmiPath ?? null,
        sortedEntries(request.extraQueryParameters), sortedEntries(request.extraHeadersParameters)]
    }
    case 'managedIdentity': {
      const { userAssignedClientId, userAssignedObjectId, userAssignedResourceId } = request.managedIdentity
      return [...common, userAssignedClientId ?? null, userAssignedObjectId ?? null, userAssignedResourceId ?? null, request.resource]
    }
  }
}

function sortedEntries (record: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(record).sort(([a], [b]) => a < b ? -1 : 1)
}
