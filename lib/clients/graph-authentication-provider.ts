import type { AcquireTokenOptions } from '../configuration/schema.ts'
import type { AuthorizationHeaderProvider } from '../tokens/authorization-header-provider.ts'

const GRAPH_SCOPE = 'https://graph.microsoft.com/.default'

export interface GraphAuthenticationProviderOptions {
  /** Default: `https://graph.microsoft.com/.default`. */
  scopes?: string | readonly string[]
  /** Whether requests are made as the app rather than on behalf of the caller. Default: false; a managed identity is the app. */
  requestAppToken?: boolean
  acquireTokenOptions?: AcquireTokenOptions
}

/** What one Graph request asks for, as the `authenticationProviderOptions` of an `AuthenticationHandlerOptions`. */
export interface GraphRequestAuthenticationOptions {
  scopes?: string | readonly string[]
  acquireTokenOptions?: AcquireTokenOptions
}

/** The `AuthenticationProvider` of `@microsoft/microsoft-graph-client`. */
export interface GraphAuthenticationProvider {
  getAccessToken (options?: GraphRequestAuthenticationOptions): Promise<string>
}

/**
 * Lets a Microsoft Graph client call with the identities and the cache of `provider`.
 *
 * @param provider of the instance, or of a request
 * @see https://learn.microsoft.com/graph/sdks/customize-client
 */
export function graphAuthenticationProvider (provider: AuthorizationHeaderProvider, options: GraphAuthenticationProviderOptions = {}): GraphAuthenticationProvider {
  const { scopes = GRAPH_SCOPE, acquireTokenOptions, requestAppToken } = options
  return {
    async getAccessToken (request = {}) {
      const header = await provider.createAuthorizationHeader(request.scopes ?? scopes, {
        ...requestAppToken !== undefined && { requestAppToken },
        acquireTokenOptions: { ...acquireTokenOptions, ...request.acquireTokenOptions },
      })
      return header.slice(header.indexOf(' ') + 1)
    }
  }
}
