import type { ManagedIdentityOptions } from '../configuration/schema.ts'
import type { Logger } from '../logger.ts'
import type { Token } from '../tokens/token.ts'
import type { ClientAuthentication, ClientAuthenticationContext, ClientCredential } from './client-credential.ts'

/** What the credential takes from the world around it. */
export interface ManagedIdentityAssertionServices {
  readonly logger: Logger
  readonly managedIdentityToken: (scope: string, identity: ManagedIdentityOptions, signal: AbortSignal, forceRefresh?: boolean) => Promise<Token>
}

/** Which token proves the app. */
export interface ManagedIdentityAssertionOptions {
  /** The system-assigned identity where it names none. */
  readonly identity: ManagedIdentityOptions
  /** Audience of the token, as the federated credential of the app names it. */
  readonly tokenExchangeUrl: string
}

// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
const exchangeUrls: Readonly<Record<string, string>> = {
  'login.microsoftonline.us': 'api://AzureADTokenExchangeUSGov',
  'login.usgovcloudapi.net': 'api://AzureADTokenExchangeUSGov',
  'login.partner.microsoftonline.cn': 'api://AzureADTokenExchangeChina',
  'login.chinacloudapi.cn': 'api://AzureADTokenExchangeChina',
}

/** The audience of such tokens in the cloud of `instance`. */
export function tokenExchangeUrlOf (instance: string | undefined): string {
  const host = instance === undefined ? '' : new URL(instance).host
  return exchangeUrls[host] ?? 'api://AzureADTokenExchange'
}

/**
 * The token of a managed identity that the app registration trusts. It is a token like any other: kept, renewed and asked for once by the engine.
 *
 * @see https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
 */
export class ManagedIdentityAssertion implements ClientCredential {
  readonly #options: ManagedIdentityAssertionOptions
  readonly #where: string
  readonly #services: ManagedIdentityAssertionServices

  /** @param where path of the credential, for log lines */
  constructor (options: ManagedIdentityAssertionOptions, where: string, services: ManagedIdentityAssertionServices) {
    this.#options = options
    this.#where = where
    this.#services = services
  }

  async authenticate ({ signal }: ClientAuthenticationContext): Promise<ClientAuthentication> {
    return { clientAssertion: await this.#token(signal) }
  }

  async reload (refused: ClientAuthentication, { signal }: ClientAuthenticationContext): Promise<void> {
    try {
      const current = await this.#token(signal)
      if ('clientAssertion' in refused && refused.clientAssertion === current) await this.#token(signal, true)
    } catch (error) {
      this.#services.logger.warn({ err: error, credential: this.#where }, 'signed assertion refused, and no other could be acquired')
      throw error
    }
  }

  async #token (signal: AbortSignal, forceRefresh?: boolean): Promise<string> {
    const { identity, tokenExchangeUrl } = this.#options
    // Configurations of .NET may have either form.
    const scope = `${tokenExchangeUrl.replace(/\/\.default$/, '')}/.default`
    const { accessToken } = await this.#services.managedIdentityToken(scope, identity, signal, forceRefresh)
    return accessToken
  }
}
