import * as v from 'valibot'
import { acquireTokenOptions as acquireTokenOptionsSchema, type AcquireTokenOptions } from '../configuration/acquire-token-options.ts'
import { readOptions } from '../configuration/read-options.ts'
import { scopeText } from '../configuration/value-schemas.ts'
import { ConfigurationError } from '../errors.ts'
import type { AuthorizationHeaderProvider } from '../tokens/authorization-header-provider.ts'

const GRAPH_SCOPE = 'https://graph.microsoft.com/.default'

export interface GraphAuthenticationProviderOptions {
  /** Default: `https://graph.microsoft.com/.default`. */
  scopes?: string | readonly string[]
  /** Whether requests are made as the app rather than on behalf of the caller. Default: false; a managed identity is the app. */
  requestAppToken?: boolean
  acquireTokenOptions?: AcquireTokenOptions
}

// The Graph client's own type knows of the scopes alone, so that no compiler finds a misspelt key.
const requestOptions = v.partial(v.strictObject({ scopes: v.array(scopeText), acquireTokenOptions: acquireTokenOptionsSchema }))

/** What one Graph request asks for, as the `authenticationProviderOptions` of an `AuthenticationHandlerOptions`. */
export interface GraphRequestAuthenticationOptions {
  scopes?: string[]
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
    async getAccessToken (asked = {}) {
      const request = checkRequest(asked)
      const header = await provider.createAuthorizationHeader(request.scopes ?? scopes, {
        ...requestAppToken !== undefined && { requestAppToken },
        acquireTokenOptions: { ...acquireTokenOptions, ...request.acquireTokenOptions } as AcquireTokenOptions,
      })
      return header.slice(header.indexOf(' ') + 1)
    }
  }
}

/** A misspelt option would call with another identity. */
function checkRequest (options: GraphRequestAuthenticationOptions): v.InferOutput<typeof requestOptions> {
  const faults: string[] = []
  const checked = readOptions(requestOptions, options, 'authenticationProviderOptions', faults)
  if (checked === undefined) throw new ConfigurationError(faults)
  return checked
}
