import type { AppConfiguration, ClientCredentialConfiguration } from '../configuration/configuration.ts'
import type { ManagedIdentityOptions } from '../configuration/schema.ts'
import type { Logger } from '../logger.ts'
import type { GetDispatcher } from '../own-connections.ts'
import type { Clock } from '../tokens/clock.ts'
import type { Token } from '../tokens/token.ts'
import { CertificateCredential } from './certificate-credential.ts'
import { certificateSource } from './certificate-sources.ts'
import type { ClientCredential } from './client-credential.ts'
import { ClientSecret } from './client-secret.ts'
import { CustomSignedAssertion, type CustomSignedAssertionProvider } from './custom-signed-assertion.ts'
import { ManagedIdentityAssertion, tokenExchangeUrlOf } from './managed-identity-assertion.ts'
import { SignedAssertionFile } from './signed-assertion-file.ts'

/** What client credentials take from the world around them. */
export interface CredentialServices {
  readonly clock: Clock
  readonly logger: Logger
  /** Milliseconds that one acquisition may take. */
  readonly tokenTimeout: number
  /** A token of a managed identity, cached like any other; past the cache with `forceRefresh`. */
  readonly managedIdentityToken: (scope: string, identity: ManagedIdentityOptions, signal: AbortSignal, forceRefresh?: boolean) => Promise<Token>
  /** By the names that the configuration was held to. */
  readonly customSignedAssertionProviders: Readonly<Record<string, CustomSignedAssertionProvider>>
  /** Gives what carries requests to Entra ID, and to Key Vault. */
  readonly identityDispatcher: GetDispatcher
  /** Aborted when the application closes. */
  readonly closed: AbortSignal
}

/** The credential that `configuration` describes, not loaded yet; `where` is its path, for log lines. */
export function createCredential (configuration: ClientCredentialConfiguration, { instance, sendX5C }: AppConfiguration, where: string, services: CredentialServices): ClientCredential {
  switch (configuration.sourceType) {
    case 'ClientSecret': return new ClientSecret(configuration.clientSecret)
    case 'Path':
    case 'Base64Encoded':
    case 'KeyVault': return new CertificateCredential({ where, source: certificateSource(configuration, services), sendX5C }, services)
    case 'SignedAssertionFilePath': return new SignedAssertionFile(configuration.signedAssertionFileDiskPath, where, services)
    case 'SignedAssertionFromManagedIdentity': {
      const { managedIdentityClientId: userAssignedClientId, tokenExchangeUrl = tokenExchangeUrlOf(instance) } = configuration
      return new ManagedIdentityAssertion({ identity: userAssignedClientId === undefined ? {} : { userAssignedClientId }, tokenExchangeUrl }, where, services)
    }
    case 'SignedAssertionFromVault':
    case 'CustomSignedAssertion': {
      const { customSignedAssertionProviderName: name = '', customSignedAssertionProviderData: data = {} } = configuration
      return new CustomSignedAssertion({ name, provider: services.customSignedAssertionProviders[name]!, data: Object.freeze(data) }, where, services)
    }
    default: throw new Error('Node cannot serve the source type')
  }
}
