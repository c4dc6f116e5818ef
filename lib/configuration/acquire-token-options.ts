import * as v from 'valibot'
import { abortSignal, claimsText, described, guidText, headers, nonEmpty, tenantText, tokenRequestParameters, unsupported } from './value-schemas.ts'

/** The managed identity to acquire with. A key without an id is a fault: it would select the system-assigned identity instead of the one that was meant. */
export const managedIdentityOptions = v.pipe(v.partial(v.strictObject({
  /** Client id of a user-assigned identity. */
  userAssignedClientId: described(guidText, 'Client id of a user-assigned identity.'),
  /** Object id (principal id) of a user-assigned identity. */
  userAssignedObjectId: described(guidText, 'Object id (principal id) of a user-assigned identity.'),
  /** Azure resource id of a user-assigned identity. */
  userAssignedResourceId: described(v.pipe(v.string(), v.regex(/^\/subscriptions\/[^?#\s]+$/i, 'expected a resource id, which begins with /subscriptions/')), 'Azure resource id of a user-assigned identity, `/subscriptions/…`.'),
})), v.check(ids => Object.values(ids).filter(id => id !== undefined).length <= 1, 'one identity only: expected at most one of UserAssignedClientId, UserAssignedObjectId and UserAssignedResourceId'), v.metadata({ trueMeansEmpty: true, isSelector: true }))

/** How a token is acquired. */
export const acquireTokenOptions = v.partial(v.strictObject({
  /** Acquires with a managed identity: `{}` is the system-assigned one. */
  managedIdentity: described(managedIdentityOptions, 'Acquires with a managed identity: `{}` is the system-assigned one, and one id names a user-assigned one.'),
  /** The app section to use instead of the default one. */
  authenticationOptionsName: described(nonEmpty, 'The app section to use instead of the default one.'),
  /** Tenant to ask instead of the app section's: its id or domain name. */
  tenant: described(tenantText, 'Tenant to ask instead of the app section\'s: its id or domain name. Without effect under `ciamlogin.com`.'),
  /** Claims to ask for, as JSON. Goes past the cache. */
  claims: described(claimsText, 'Claims to ask for, as JSON. Goes past the cache.'),
  /** Names the token request in the sign-in logs: a GUID. Default: a new one. */
  correlationId: described(guidText, 'Names the token request in the sign-in logs: a GUID. Default: a new one.'),
  /** Whether to go past the cache. Default: false. */
  forceRefresh: described(v.boolean(), 'Whether to go past the cache. Default: `false`.'),
  /** Path of a federated managed identity, sent as `fmi_path`. */
  fmiPath: described(nonEmpty, 'Path of a federated managed identity, sent as `fmi_path`.'),
  /** Added to the query of the token request. */
  extraQueryParameters: described(tokenRequestParameters, 'Added to the query of the *token request*, before the app section\'s.'),
  /** Added to the headers of the token request. */
  extraHeadersParameters: described(headers, 'Added to the headers of the *token request*.'),
  /** Session key of long-running work on behalf of a user, or 'AllocateForMe', which a new key takes the place of. */
  longRunningWebApiSessionKey: described(v.pipe(nonEmpty, v.maxLength(1_000, 'expected at most 1,000 characters')), 'Session key of [long-running work](long-running-work.md) on behalf of a user, or `AllocateForMe`, which a new key takes the place of. Of a call only.'),
  /** Ends the wait for the token. In code only. */
  signal: described(abortSignal, 'Ends the wait for the token. In code only.'),
  popPublicKey: unsupported('proof-of-possession tokens are not supported'),
  popClaim: unsupported('proof-of-possession tokens are not supported'),
  poPConfiguration: unsupported('proof-of-possession tokens are not supported'),
  userFlow: unsupported('user flows are not supported'),
  extraParameters: unsupported('extension parameters are not supported'),
}))

/** How an authorization header is wanted. */
export const authorizationHeaderOptions = v.partial(v.strictObject({
  /** How the token is acquired. */
  acquireTokenOptions: described(acquireTokenOptions, 'How the token is acquired.'),
  /** Whether the header is the app's rather than the caller's. Default: false; a managed identity is the app. */
  requestAppToken: described(v.boolean(), 'Whether the header is the app\'s rather than the caller\'s.'),
}))

type Unsupported = 'popPublicKey' | 'popClaim' | 'poPConfiguration' | 'userFlow' | 'extraParameters'
export type ManagedIdentityOptions = v.InferInput<typeof managedIdentityOptions>
export type AcquireTokenOptions = Omit<v.InferInput<typeof acquireTokenOptions>, Unsupported>
