import type { ApiConfiguration } from '../configuration/configuration.ts'
import type { Logger } from '../logger.ts'
import type { Identity } from '../tokens/identity.ts'
import type { ConfiguredTokenAcquirer, TokenPlan } from '../tokens/token-acquirer.ts'
import { apiUrl } from './api-url.ts'
import { requestHeaders } from './request-headers.ts'

/** What is the same in every call of an API as one identity, and is worked out once. */
export interface CallPlan {
  readonly api: ApiConfiguration
  readonly identity: Identity | undefined
  readonly url: string
  readonly origin: string
  /** With the query. */
  readonly path: string
  /** Name and value in turn, before there is a token and a body. */
  readonly headers: readonly string[]
  /** `undefined` for an API without scopes, which is called without a token. */
  readonly token: TokenPlan | undefined
  /** Whether nothing but the token and the body is to be added: no code of the user's sees the request, and the token at hand will do. */
  readonly isPlain: boolean
}

/**
 * @param like the plan of the same API before an override: what the override has left alone is taken from there
 * @throws what the URL, the scopes or the app section of the API are refused with
 */
export function planCall (api: ApiConfiguration, identity: Identity | undefined, acquirer: ConfiguredTokenAcquirer, logger: Logger, like?: CallPlan): CallPlan {
  const url = apiUrl(api)
  const { acquireTokenOptions: { forceRefresh, claims, signal } } = api
  const headers = like !== undefined && like.api.acceptHeader === api.acceptHeader && like.api.extraHeaderParameters === api.extraHeaderParameters
    ? like.headers
    : listOf(requestHeaders(api, logger))
  const token = like !== undefined && like.identity === identity && like.api.scopes === api.scopes && like.api.acquireTokenOptions === api.acquireTokenOptions
    ? like.token
    : identity && acquirer.plan(identity, api.scopes, api.acquireTokenOptions, api.name)
  const codes = [api.serializer, api.deserializer, api.onBeforeAuthHeaderCreation, api.onAfterAuthHeaderCreation, api.customizeHttpRequestMessage]
  return {
    api,
    identity,
    url,
    ...addressOf(url),
    headers,
    token,
    isPlain: codes.every(code => code === undefined) && !forceRefresh && claims === undefined && signal === undefined && identity !== undefined && !headers.some((text, index) => index % 2 === 0 && text === 'content-type'),
  }
}

export function addressOf (url: string): { origin: string, path: string } {
  const { origin, pathname, search } = new URL(url)
  return { origin, path: `${pathname}${search}` }
}

export function listOf (headers: Iterable<readonly [string, string]>): string[] {
  return [...headers].flat()
}
