import * as v from 'valibot'
import { vaultUrlFault } from './url-rules.ts'
import { described, guidText, nonEmpty, text, unsupported } from './value-schemas.ts'

const common = {
  /** Passes the credential over. Default: false. */
  skip: v.optional(described(v.boolean(), 'Passes the credential over. Default: `false`.')),
  /** .NET's own; ignored. */
  id: v.optional(described(text, '.NET\'s own; ignored.')),
  algorithm: v.optional(described(text, '.NET\'s own; ignored.')),
  useBoundCredential: v.optional(unsupported('bound credentials are not supported')),
}
/** Opens the PFX or the encrypted private key. Default: none. */
const certificatePassword = v.optional(described(text, 'Opens the PFX or the encrypted private key.'))
const keyVault = {
  /** The vault, as in `https://contoso.vault.azure.net/`. */
  keyVaultUrl: described(nonEmpty, 'The vault, as in `https://contoso.vault.azure.net/`.'),
  /** The certificate's name in the vault; its newest version is used. */
  keyVaultCertificateName: described(nonEmpty, 'The certificate\'s name in the vault; its newest version is used.'),
  /** Client id of the user-assigned managed identity that reads it. Default: the system-assigned one. */
  managedIdentityClientId: v.optional(described(guidText, 'Client id of the user-assigned managed identity. Without it, the system-assigned one.')),
}
const noEffect = v.optional(described(text, '.NET\'s own; no effect.'))
const ofVault = { keyVaultUrl: noEffect, keyVaultCertificateName: noEffect, managedIdentityClientId: noEffect }
const providerName = described(nonEmpty, 'Name of the function in the option `customSignedAssertionProviders`.')
const provider = { customSignedAssertionProviderName: providerName, customSignedAssertionProviderData: v.optional(described(v.record(v.string(), v.unknown()), 'Given to the function as `data`.')) }

/** A credential with this source type; one that is not skipped is a fault where `fault` is given. */
function credential<const T extends string, const E extends v.ObjectEntries> (sourceType: T, entries: E, fault?: string) {
  return v.pipe(v.strictObject({ sourceType: v.literal(sourceType), ...common, ...entries }), v.rawCheck(({ dataset: { value: input }, addIssue }) => {
    const { skip } = input as { skip?: unknown }
    if (fault !== undefined && skip !== true) addIssue({ message: fault, path: [{ type: 'object', origin: 'value', input: input as Record<string, unknown>, key: 'sourceType', value: sourceType }] })
  }), v.metadata({ fault }))
}

const certificates = [
  credential('Path', {
    /** A PFX, or PEM with the private key; relative to the working directory. */
    certificateDiskPath: described(nonEmpty, 'A PFX, or PEM with the private key; relative to the working directory.'),
    certificatePassword,
  }),
  credential('Base64Encoded', {
    /** A PFX as base64, or PEM, as it is or as base64. */
    base64EncodedValue: described(nonEmpty, 'A PFX as base64, or PEM, as it is or as base64.'),
    certificatePassword,
  }),
  v.pipe(credential('KeyVault', keyVault), v.rawCheck(({ dataset: { value: input }, addIssue }) => {
    const { skip, keyVaultUrl } = input as { skip?: unknown, keyVaultUrl?: unknown }
    const fault = typeof keyVaultUrl !== 'string' || skip === true ? undefined : vaultUrlFault(keyVaultUrl)
    if (fault !== undefined) addIssue({ message: fault, path: [{ type: 'object', origin: 'value', input: input as Record<string, unknown>, key: 'keyVaultUrl', value: keyVaultUrl }] })
  })),
] as const

const served = [
  credential('ClientSecret', {
    /** The secret's value, not its id. */
    clientSecret: described(nonEmpty, 'The secret\'s value, not its id.')
  }),
  ...certificates,
  credential('SignedAssertionFromManagedIdentity', {
    /** Client id of the user-assigned identity. Default: the system-assigned one. */
    managedIdentityClientId: v.optional(described(guidText, 'Client id of the user-assigned identity. Default: the system-assigned one.')),
    /** Audience of the identity's token. Default: by the cloud of `Instance`. */
    tokenExchangeUrl: v.optional(described(nonEmpty, 'Audience of the identity\'s token. Default: by the cloud of `Instance`: `api://AzureADTokenExchange`, `…USGov`, `…China`.')),
    tokenExchangeAuthority: noEffect,
  }),
  credential('SignedAssertionFilePath', {
    /** The file. Default: the one that the environment variable `AZURE_FEDERATED_TOKEN_FILE` names. */
    signedAssertionFileDiskPath: v.optional(described(nonEmpty, 'The file. Default: the one that the environment variable `AZURE_FEDERATED_TOKEN_FILE` names.')),
  }),
  credential('SignedAssertionFromVault', { ...ofVault, ...provider, customSignedAssertionProviderName: v.optional(providerName) }),
  credential('CustomSignedAssertion', provider),
] as const

// What Node cannot serve, and what to use instead.
const noStore = 'Node has no certificate store of the operating system; export the certificate to a PFX and use Path, or a managed identity on the API'
const ignored = v.optional(v.unknown())
const store = { certificateStorePath: ignored, certificateThumbprint: ignored, certificateDistinguishedName: ignored, certificateSubjectName: ignored }
const unservable = [
  credential('Certificate', { certificate: ignored }, 'a certificate object is .NET\'s own; use Path or Base64Encoded, or a managed identity on the API'),
  credential('StoreWithThumbprint', store, noStore),
  credential('StoreWithDistinguishedName', store, noStore),
  credential('StoreWithSubjectName', store, noStore),
  credential('AutoDecryptKeys', { decryptKeysAuthenticationOptions: ignored }, 'it decrypts tokens and proves no app; use ClientSecret'),
  credential('ManagedCertificate', store, 'it is for Microsoft\'s own services; use ClientSecret, or a managed identity on the API'),
] as const

/** What an app proves itself with; told apart by `SourceType`. */
export const clientCredential = v.variant('sourceType', [...served, ...unservable])

const noKey = 'it holds no private key here; use Path, Base64Encoded or KeyVault'
/** What tokens that are encrypted for the API are opened with; told apart by `SourceType`. */
export const tokenDecryptionCredential = v.variant('sourceType', [
  ...certificates,
  credential('Certificate', { certificate: ignored }, noKey),
  credential('StoreWithThumbprint', store, noStore),
  credential('StoreWithDistinguishedName', store, noStore),
  credential('StoreWithSubjectName', store, noStore),
  credential('AutoDecryptKeys', { decryptKeysAuthenticationOptions: ignored }, noKey),
])

export type ClientCredentialOptions = v.InferInput<typeof clientCredential>
