import type { AppConfiguration, ClientCredentialConfiguration } from '../configuration/configuration.ts'
import type { ManagedIdentityOptions } from '../configuration/schema.ts'
import type { Logger } from '../logger.ts'
import type { Clock } from '../tokens/clock.ts'
import type { Token } from '../tokens/token.ts'
import type { ClientCredential } from './client-credential.ts'
import { ClientSecret } from './client-secret.ts'

/** What client credentials take from the world around them. */
export interface CredentialServices {
  readonly clock: Clock
  readonly logger: Logger
  /** Milliseconds that one acquisition may take. */
  readonly tokenTimeout: number
  /** A token of a managed identity, cached like any other. */
  readonly managedIdentityToken: (scope: string, identity: ManagedIdentityOptions, signal: AbortSignal) => Promise<Token>
}

/** The credential that `configuration` describes, not loaded yet; `where` is its path, for log lines. */
export function createCredential (configuration: ClientCredentialConfiguration, _app: AppConfiguration, _where: string, _services: CredentialServices): ClientCredential {
  switch (configuration.sourceType) {
    case 'ClientSecret': return new ClientSecret(configuration.clientSecret)
    default: throw new Error('this version does not serve the source type')
  }
}
