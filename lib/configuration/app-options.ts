import * as v from 'valibot'
import { clientIdText, guidText, hostText, nonEmpty, parameters, tenantText, text } from './value-schemas.ts'

const described = <const T extends v.GenericSchema>(schema: T, description: string) => v.pipe(schema, v.description(description))
const skip = described(v.boolean(), 'Passes the credential over. Default: false.')
const common = { skip: v.optional(skip), id: v.optional(text) }
const certificatePassword = v.optional(text)

/** The client credentials that .NET knows, by `SourceType`. */
export const sourceTypes = {
  ClientSecret: v.strictObject({ sourceType: v.literal('ClientSecret'), ...common, clientSecret: nonEmpty }),
  Path: v.strictObject({ sourceType: v.literal('Path'), ...common, certificateDiskPath: nonEmpty, certificatePassword }),
  Base64Encoded: v.strictObject({ sourceType: v.literal('Base64Encoded'), ...common, base64EncodedValue: nonEmpty, certificatePassword }),
  KeyVault: v.strictObject({ sourceType: v.literal('KeyVault'), ...common, keyVaultUrl: nonEmpty, keyVaultCertificateName: nonEmpty, managedIdentityClientId: v.optional(guidText) }),
  SignedAssertionFromManagedIdentity: v.strictObject({ sourceType: v.literal('SignedAssertionFromManagedIdentity'), ...common, managedIdentityClientId: v.optional(guidText), tokenExchangeUrl: v.optional(nonEmpty), tokenExchangeAuthority: v.optional(nonEmpty) }),
  SignedAssertionFilePath: v.strictObject({ sourceType: v.literal('SignedAssertionFilePath'), ...common, signedAssertionFileDiskPath: v.optional(nonEmpty) }),
  SignedAssertionFromVault: v.strictObject({ sourceType: v.literal('SignedAssertionFromVault'), ...common, keyVaultUrl: v.optional(nonEmpty), customSignedAssertionProviderName: v.optional(nonEmpty), customSignedAssertionProviderData: v.optional(v.record(v.string(), v.unknown())) }),
  CustomSignedAssertion: v.strictObject({ sourceType: v.literal('CustomSignedAssertion'), ...common, customSignedAssertionProviderName: nonEmpty, customSignedAssertionProviderData: v.optional(v.record(v.string(), v.unknown())) }),
}

/** What to use instead of a source type that Node cannot serve, and of one that this version does not serve yet. */
export const unservedSourceTypes: Readonly<Record<string, string>> = {
  Certificate: 'a certificate object is .NET\'s own; use ClientSecret',
  StoreWithThumbprint: 'Node has no certificate store of the operating system; use ClientSecret',
  StoreWithDistinguishedName: 'Node has no certificate store of the operating system; use ClientSecret',
  StoreWithSubjectName: 'Node has no certificate store of the operating system; use ClientSecret',
  AutoDecryptKeys: 'it is for token decryption, not for a client credential; use ClientSecret',
  ManagedCertificate: 'it is for Microsoft\'s own services; use ClientSecret',
  Path: 'this version does not serve it; use ClientSecret or a managed identity',
  Base64Encoded: 'this version does not serve it; use ClientSecret or a managed identity',
  KeyVault: 'this version does not serve it; use ClientSecret or a managed identity',
  SignedAssertionFromManagedIdentity: 'this version does not serve it; use ClientSecret or a managed identity',
  SignedAssertionFilePath: 'this version does not serve it; use ClientSecret or a managed identity',
  SignedAssertionFromVault: 'this version does not serve it; use ClientSecret or a managed identity',
  CustomSignedAssertion: 'this version does not serve it; use ClientSecret or a managed identity',
}

export const clientCredential = v.variant('sourceType', Object.values(sourceTypes) as [typeof sourceTypes.ClientSecret, typeof sourceTypes.Path, typeof sourceTypes.Base64Encoded, typeof sourceTypes.KeyVault, typeof sourceTypes.SignedAssertionFromManagedIdentity, typeof sourceTypes.SignedAssertionFilePath, typeof sourceTypes.SignedAssertionFromVault, typeof sourceTypes.CustomSignedAssertion])

/** Keys of .NET web apps and web APIs that mean nothing here: accepted, with one warning. */
export const keysWithoutEffect = ['callbackPath', 'signedOutCallbackPath', 'signedOutRedirectUri', 'remoteSignOutPath', 'scopes', 'showPII', 'enablePiiLogging', 'allowWebApiToBeAuthorizedByACL', 'withSpaAuthCode', 'resetPasswordPolicyId', 'editProfilePolicyId', 'defaultUserFlow', 'errorPath', 'responseType', 'usePkce', 'saveTokens', 'legacyCacheCompatibilityEnabled', 'isDefaultPlatform'] as const
const withoutEffect = Object.fromEntries(keysWithoutEffect.map(key => [key, v.unknown()])) as Record<typeof keysWithoutEffect[number], v.UnknownSchema>

/** An app registration, and where it proves itself. */
export const azureAdOptions = v.partial(v.strictObject({
  /** The cloud, as in `https://login.microsoftonline.com/`. */
  instance: described(nonEmpty, 'The cloud, as in `https://login.microsoftonline.com/`: a Microsoft one, a loopback host, or one of `KnownAuthorities`.'),
  /** The tenant's id or domain name. */
  tenantId: described(tenantText, 'The tenant\'s id or domain name.'),
  /** Client id of the app registration. */
  clientId: described(clientIdText, 'Client id of the app registration.'),
  /** Instance and tenant in one URL, instead of both. */
  authority: described(nonEmpty, 'Instance and tenant in one URL. Ignored, with a warning, beside either of them.'),
  /** What the app proves itself with: the first that loads. */
  clientCredentials: described(v.array(v.optional(clientCredential)), 'What the app proves itself with: the first that loads. This version serves `"SourceType": "ClientSecret"` with `ClientSecret`.'),
  /** The one credential of older configurations. */
  clientSecret: described(nonEmpty, 'The one credential of older configurations. Ignored beside `ClientCredentials`.'),
  /** Capabilities of the app, as in `['cp1']`; apply to every flow. */
  clientCapabilities: described(v.array(nonEmpty), 'Capabilities of the app, as in `["cp1"]`; for managed identities too.'),
  /** Other hosts that may be an authority: `host`, or `host:port`. */
  knownAuthorities: described(v.array(hostText), 'Other hosts that may be an authority: `host`, or `host:port`.'),
  /** Tenant that gives app tokens where `tenantId` names none. */
  appHomeTenantId: described(tenantText, 'Tenant that gives app tokens where `TenantId` is `common` or `organizations`.'),
  /** Added to the query of every token request. */
  extraQueryParameters: described(parameters, 'Added to the query of every token request.'),
  azureRegion: described(nonEmpty, 'Read for compatibility; regional endpoints are not used yet.'),
  sendX5C: described(v.boolean(), 'Read for compatibility; certificates are not served yet.'),
  domain: described(nonEmpty, 'Read for compatibility; B2C policies are not served yet.'),
  signUpSignInPolicyId: described(nonEmpty, 'Read for compatibility; B2C policies are not served yet.'),
  audience: described(nonEmpty, 'Read for compatibility; inbound tokens are not validated yet.'),
  audiences: described(v.array(nonEmpty), 'Read for compatibility; inbound tokens are not validated yet.'),
  tokenDecryptionCredentials: described(v.array(v.record(v.string(), v.unknown())), 'Read for compatibility; inbound tokens are not validated yet.'),
  ...withoutEffect,
}))

export type AzureAdOptions = v.InferInput<typeof azureAdOptions>
export type ClientCredentialOptions = v.InferInput<typeof clientCredential>
