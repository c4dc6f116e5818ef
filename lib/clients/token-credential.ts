import type { AcquireTokenOptions } from '../configuration/schema.ts'
import type { AuthorizationHeaderProvider } from '../tokens/authorization-header-provider.ts'

export interface TokenCredentialOptions {
  /** Asked for instead of those that the Azure SDK client names. */
  scopes?: string | readonly string[]
  /** Whether tokens are the app's rather than the caller's. Default: false; a managed identity is the app. */
  requestAppToken?: boolean
  acquireTokenOptions?: AcquireTokenOptions
}

/** An `AbortSignal`, or what the Azure SDK takes for one. */
export interface AbortSignalLike {
  readonly aborted: boolean
  readonly reason?: unknown
  addEventListener (type: 'abort', listener: () => void): void
  removeEventListener (type: 'abort', listener: () => void): void
}

/** What an Azure SDK client asks of its credential, as far as it is heeded here. */
export interface GetTokenOptions {
  abortSignal?: AbortSignalLike
  /** Of a claims challenge, as JSON. */
  claims?: string
  tenantId?: string
}

/** The `TokenCredential` of the Azure SDK (`@azure/core-auth`). */
export interface TokenCredential {
  getToken (scopes: string | string[], options?: GetTokenOptions): Promise<{
    token: string
    /** Milliseconds since the epoch. */
    expiresOnTimestamp: number
    /** Milliseconds since the epoch. */
    refreshAfterTimestamp?: number
    tokenType: 'Bearer'
  }>
}

/**
 * Lets any Azure SDK client call with the identities and the cache of `provider`.
 *
 * @param provider of the instance, or of a request
 */
export function tokenCredential (provider: AuthorizationHeaderProvider, options: TokenCredentialOptions = {}): TokenCredential {
  const { scopes, requestAppToken, acquireTokenOptions } = options
  return {
    async getToken (asked, { abortSignal, claims, tenantId } = {}) {
      const { authorizationHeader, expiresOn, refreshOn } = await withAbortSignal(abortSignal, signal => provider.createAuthorizationHeaderInformation(scopes ?? asked, {
        ...requestAppToken !== undefined && { requestAppToken },
        acquireTokenOptions: {
          ...acquireTokenOptions,
          ...claims !== undefined && { claims },
          ...tenantId !== undefined && { tenant: tenantId },
          ...signal !== undefined && { signal },
        },
      }))
      return {
        token: authorizationHeader.slice(authorizationHeader.indexOf(' ') + 1),
        expiresOnTimestamp: expiresOn.getTime(),
        ...refreshOn !== undefined && { refreshAfterTimestamp: refreshOn.getTime() },
        tokenType: 'Bearer',
      }
    }
  }
}

/** Runs `work` with an AbortSignal that ends together with `signal`. */
async function withAbortSignal<T> (signal: AbortSignalLike | undefined, work: (signal: AbortSignal | undefined) => Promise<T>): Promise<T> {
  if (signal === undefined || signal instanceof AbortSignal) return work(signal)
  const controller = new AbortController()
  const abort = () => controller.abort(signal.reason)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort)
  try {
    return await work(controller.signal)
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
