import * as v from 'valibot'
import { described, guidText, nonEmpty, text, unsupported } from './value-schemas.ts'

const common = {
  /** Passes the credential over. Default: false. */
  skip: v.optional(described(v.boolean(), 'Passes the credential over. Default: `false`.')),
  /** .NET's own; ignored. */
  id: v.optional(described(text, '.NET\'s own; ignored.')),
  algorithm: v.optional(described(text, '.NET\'s own; ignored.')),
  useBoundCredential: v.optional(unsupported('bound credentials are not supported')),
}
const certificatePassword = v.optional(text)
const keyVault = { keyVaultUrl: nonEmpty, keyVaultCertificateName: nonEmpty, managedIdentityClientId: v.optional(guidText) }
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

// What this version does not serve yet. Serving a source type deletes `notYet` from its line.
const notYet = 'this version does not serve it; use ClientSecret, or a managed identity on the API'
const served = [
  credential('ClientSecret', {
    /** The secret's value, not its id. */
    clientSecret: described(nonEmpty, 'The secret\'s value, not its id.')
  }),
  credential('Path', { certificateDiskPath: nonEmpty, certificatePassword }, notYet),
  credential('Base64Encoded', { base64EncodedValue: nonEmpty, certificatePassword }, notYet),
  credential('KeyVault', keyVault, notYet),
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
const noStore = 'Node has no certificate store of the operating system; use ClientSecret, or a managed identity on the API'
const ignored = v.optional(v.unknown())
const store = { certificateStorePath: ignored, certificateThumbprint: ignored, certificateDistinguishedName: ignored, certificateSubjectName: ignored }
const unservable = [
  credential('Certificate', { certificate: ignored }, 'a certificate object is .NET\'s own; use ClientSecret, or a managed identity on the API'),
  credential('StoreWithThumbprint', store, noStore),
  credential('StoreWithDistinguishedName', store, noStore),
  credential('StoreWithSubjectName', store, noStore),
  credential('AutoDecryptKeys', { decryptKeysAuthenticationOptions: ignored }, 'it decrypts tokens and proves no app; use ClientSecret'),
  credential('ManagedCertificate', store, 'it is for Microsoft\'s own services; use ClientSecret, or a managed identity on the API'),
] as const

/** What an app proves itself with; told apart by `SourceType`. */
export const clientCredential = v.variant('sourceType', [...served, ...unservable])

export type ClientCredentialOptions = v.InferInput<typeof clientCredential>
