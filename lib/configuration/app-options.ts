import * as v from 'valibot'
import { addressFault, type AddressOptions } from '../authorities/address.ts'
import { clientCredential, tokenDecryptionCredential } from './client-credential-options.ts'
import { isSection } from './own-entries.ts'
import { clientIdText, described, guidText, hostText, nonEmpty, policyText, regionText, tenantText, tokenRequestParameters, unsupported } from './value-schemas.ts'

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
  tenantId: described(tenantText, 'The tenant\'s id or domain name. External ID, and B2C with a policy, have one without it.'),
  /** Client id of the app registration. */
  clientId: described(clientIdText, 'Client id of the app registration.'),
  /** Instance and tenant in one URL, instead of both. */
  authority: described(nonEmpty, 'Instance and tenant in one URL; a query joins `ExtraQueryParameters`. Ignored, with a warning, beside `Instance` or `TenantId`.'),
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
  knownAuthorities: described(v.array(hostText), 'Other hosts that may be an authority: `host`, or `host:port`. Their endpoints are those of their OpenID configuration.'),
  /** Tenant that gives app tokens where `tenantId` names none. */
  appHomeTenantId: described(tenantText, 'Tenant that gives app tokens where `TenantId` is `common`, `organizations` or `consumers`.'),
  /** Added to the query of every token request. */
  extraQueryParameters: described(tokenRequestParameters, 'Added to the query of every token request; what a call gives goes before it.'),
  /** Region whose endpoint app tokens are asked for at, as in `westus2`, or `TryAutoDetect`. */
  azureRegion: described(regionText, 'Region whose endpoint gives app tokens, as in `westus2`; `TryAutoDetect` asks the platform.'),
  /** Whether a client assertion carries the certificate's chain, so that Entra ID may trust its subject and issuer. Default: false. */
  sendX5C: described(v.boolean(), 'Whether a client assertion carries the certificate\'s chain, for app registrations that trust its subject and issuer.'),
  /** The tenant of B2C. */
  domain: described(nonEmpty, 'The tenant of Azure AD B2C, as in `contoso.onmicrosoft.com`; read where there is a policy.'),
  /** User flow or custom policy of B2C. */
  signUpSignInPolicyId: described(policyText, 'User flow or custom policy of Azure AD B2C, part of its token endpoint.'),
  /** `aud` of callers' tokens. */
  audience: described(nonEmpty, '`aud` of the tokens of callers, with [inbound](protecting-routes.md).'),
  /** More of the same. */
  audiences: described(v.array(nonEmpty), 'More of the same. Without either, the client id and `api://<client id>`.'),
  /** What tokens of callers are opened with that are encrypted for the API. */
  tokenDecryptionCredentials: described(v.array(tokenDecryptionCredential), 'What tokens of callers are opened with that are encrypted for the API: [certificates](protecting-routes.md#encrypted-tokens).'),
  userAssignedManagedIdentityClientId: unsupported('not supported; use AcquireTokenOptions.ManagedIdentity of the API'),
  tokenDecryptionCertificates: unsupported('not supported; use TokenDecryptionCredentials'),
  ...withoutEffect,
})), v.rawCheck(({ dataset: { value: input }, addIssue }) => {
  if (!isSection(input)) return
  const [key, message] = addressFault(addressOptions(input)) ?? []
  if (key !== undefined && message !== undefined) addIssue({ message, path: [{ type: 'object', origin: 'value', input, key, value: input[key] }] })
}))

type Unsupported = 'userAssignedManagedIdentityClientId' | 'tokenDecryptionCertificates'
export type AzureAdOptions = Omit<v.InferInput<typeof azureAdOptions>, Unsupported>

/** What there is as text, before anything else has been checked. */
function addressOptions (input: Record<string, unknown>): AddressOptions {
  const { instance, tenantId, authority, domain, signUpSignInPolicyId, knownAuthorities } = input
  return {
    instance: textOf(instance),
    tenantId: textOf(tenantId),
    authority: textOf(authority),
    domain: textOf(domain),
    signUpSignInPolicyId: textOf(signUpSignInPolicyId),
    knownAuthorities: Array.isArray(knownAuthorities) ? knownAuthorities.filter(item => typeof item === 'string') : [],
  }
}

function textOf (value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
