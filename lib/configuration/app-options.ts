import * as v from 'valibot'
import { splitAuthority } from './authority-url.ts'
import { clientCredential } from './client-credential-options.ts'
import { isSection } from './own-entries.ts'
import { authorityFault, instanceFault } from './url-rules.ts'
import { clientIdText, described, guidText, hostText, nonEmpty, parameters, tenantText, unsupported } from './value-schemas.ts'

/** Name of the app section that is meant where none is named. */
export const DEFAULT_APP_SECTION = 'AzureAd'

/** Keys of .NET web apps and web APIs that mean nothing here: accepted, with one warning. */
export const keysWithoutEffect = [
  'callbackPath', 'signedOutCallbackPath', 'signedOutRedirectUri', 'remoteSignOutPath', 'redirectUri', 'errorPath',
  'scopes', 'responseType', 'responseMode', 'usePkce', 'saveTokens', 'withSpaAuthCode', 'getClaimsFromUserInfoEndpoint', 'metadataAddress', 'requireHttpsMetadata', 'tokenValidationParameters',
  'resetPasswordPolicyId', 'editProfilePolicyId', 'defaultUserFlow', 'allowWebApiToBeAuthorizedByACL',
  'clientName', 'clientVersion', 'logLevel', 'showPII', 'enablePiiLogging', 'isDefaultPlatformLoggingEnabled', 'legacyCacheCompatibilityEnabled', 'enableCacheSynchronization',
] as const
const withoutEffect = Object.fromEntries(keysWithoutEffect.map(key => [key, v.unknown()])) as Record<typeof keysWithoutEffect[number], v.UnknownSchema>

/** An app registration, and where it proves itself. */
export const azureAdOptions = v.pipe(v.partial(v.strictObject({
  /** The cloud, as in `https://login.microsoftonline.com/`. */
  instance: described(nonEmpty, 'The cloud, as in `https://login.microsoftonline.com/`: a Microsoft one, a loopback host, or one of `KnownAuthorities`.'),
  /** The tenant's id or domain name. */
  tenantId: described(tenantText, 'The tenant\'s id or domain name.'),
  /** Client id of the app registration. */
  clientId: described(clientIdText, 'Client id of the app registration.'),
  /** Instance and tenant in one URL, instead of both. */
  authority: described(nonEmpty, 'Instance and tenant in one URL. Ignored, with a warning, beside either of them.'),
  /** What the app proves itself with: the first that loads. */
  clientCredentials: described(v.array(clientCredential), 'What the app proves itself with: the first that can be used. [Which](credentials.md).'),
  /** The certificates of older configurations. */
  clientCertificates: described(v.array(clientCredential), 'The credentials of older configurations, before `ClientSecret`. Ignored beside `ClientCredentials`.'),
  /** The one credential of older configurations. */
  clientSecret: described(nonEmpty, 'The one credential of older configurations. Ignored beside `ClientCredentials`.'),
  /** The managed identity of older configurations, as credential. */
  clientCredentialsUsingManagedIdentity: described(v.strictObject({
    /** Default: false. */
    isEnabled: v.optional(v.boolean()),
    /** Client id of the user-assigned identity. Default: the system-assigned one. */
    managedIdentityClientId: v.optional(guidText),
  }), 'Older form of `SignedAssertionFromManagedIdentity`: `{ isEnabled, managedIdentityClientId }`. Ignored beside `ClientCredentials`.'),
  /** Capabilities of the app, as in `['cp1']`; apply to every flow. */
  clientCapabilities: described(v.array(nonEmpty), 'Capabilities of the app, as in `["cp1"]`; for managed identities too.'),
  /** Other hosts that may be an authority: `host`, or `host:port`. */
  knownAuthorities: described(v.array(hostText), 'Other hosts that may be an authority: `host`, or `host:port`.'),
  /** Tenant that gives app tokens where `tenantId` names none. */
  appHomeTenantId: described(tenantText, 'Tenant that gives app tokens where `TenantId` is `common` or `organizations`.'),
  /** Added to the query of every token request. */
  extraQueryParameters: described(parameters, 'Added to the query of every token request.'),
  azureRegion: described(nonEmpty, 'Read for compatibility; regional endpoints are not used yet.'),
  /** Whether a client assertion carries the certificate's chain, so that Entra ID may trust its subject and issuer. Default: false. */
  sendX5C: described(v.boolean(), 'Whether a client assertion carries the certificate\'s chain, for app registrations that trust its subject and issuer.'),
  domain: described(nonEmpty, 'Read for compatibility; B2C policies are not served yet.'),
  signUpSignInPolicyId: described(nonEmpty, 'Read for compatibility; B2C policies are not served yet.'),
  audience: described(nonEmpty, 'Read for compatibility; inbound tokens are not validated yet.'),
  audiences: described(v.array(nonEmpty), 'Read for compatibility; inbound tokens are not validated yet.'),
  tokenDecryptionCredentials: described(v.array(v.record(v.string(), v.unknown())), 'Read for compatibility; inbound tokens are not validated yet.'),
  userAssignedManagedIdentityClientId: unsupported('not supported; use AcquireTokenOptions.ManagedIdentity of the API'),
  tokenDecryptionCertificates: unsupported('not supported; use TokenDecryptionCredentials'),
  ...withoutEffect,
})), v.rawCheck(({ dataset: { value: input }, addIssue }) => {
  if (!isSection(input)) return
  const [key, message] = addressFault(input) ?? []
  if (key !== undefined && message !== undefined) addIssue({ message, path: [{ type: 'object', origin: 'value', input, key, value: input[key] }] })
}))

type Unsupported = 'userAssignedManagedIdentityClientId' | 'tokenDecryptionCertificates'
export type AzureAdOptions = Omit<v.InferInput<typeof azureAdOptions>, Unsupported>

/** The key that says where the app proves itself, and why no secret must be sent there. */
function addressFault ({ instance, tenantId, authority, knownAuthorities }: Record<string, unknown>): [key: string, fault: string | undefined] | undefined {
  const known = Array.isArray(knownAuthorities) ? knownAuthorities.filter(item => typeof item === 'string') : []
  if (typeof instance === 'string') return ['instance', instanceFault(instance, known)]
  if (instance !== undefined || tenantId !== undefined || typeof authority !== 'string') return undefined

  const fault = authorityFault(authority, known)
  return ['authority', fault ?? tenantFault(splitAuthority(authority).tenantId)]
}

function tenantFault (tenantId: string | undefined): string | undefined {
  return tenantId === undefined || v.is(tenantText, tenantId) ? undefined : 'expected the id or the domain name of a tenant as the first part of the path'
}
