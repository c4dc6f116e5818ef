import type { DownstreamApiOptions } from '../configuration/schema.ts'
import type { ApiName } from './api-names.ts'
import type { DownstreamResponse } from './types.ts'

/** What one call changes of its API's options: the relative path, some options, or a function that changes a copy of all of them. `baseUrl` cannot be changed. */
export type DownstreamApiOverride = string | Partial<DownstreamApiOptions> | ((options: DownstreamApiOptions) => void)

/**
 * Calls the configured downstream APIs, each with a token.
 *
 * The typed verbs give the body that the API answered, `undefined` where it was empty, and throw
 * `FST_IDW_DOWNSTREAM_STATUS` for a status outside 2xx; `callApi…` give the answer as it is, whatever its status.
 * `…ForApp` calls as the app (its managed identity where one is configured, else its client credential),
 * `…ForUser` on behalf of the caller: that of the request, or `user`, which is the raw token of a caller or what `request.user` was.
 */
export interface DownstreamApi {
  getForApp<T = unknown> (api: ApiName, options?: DownstreamApiOverride): Promise<T | undefined>
  postForApp<T = unknown, I = unknown> (api: ApiName, input: I, options?: DownstreamApiOverride): Promise<T | undefined>
  putForApp<T = unknown, I = unknown> (api: ApiName, input: I, options?: DownstreamApiOverride): Promise<T | undefined>
  patchForApp<T = unknown, I = unknown> (api: ApiName, input: I, options?: DownstreamApiOverride): Promise<T | undefined>
  /** A DELETE without a body; one with a body goes through {@link callApiForApp}. */
  deleteForApp<T = unknown> (api: ApiName, options?: DownstreamApiOverride): Promise<T | undefined>
  headForApp<T = unknown> (api: ApiName, options?: DownstreamApiOverride): Promise<T | undefined>

  getForUser<T = unknown> (api: ApiName, options?: DownstreamApiOverride, user?: unknown): Promise<T | undefined>
  postForUser<T = unknown, I = unknown> (api: ApiName, input: I, options?: DownstreamApiOverride, user?: unknown): Promise<T | undefined>
  putForUser<T = unknown, I = unknown> (api: ApiName, input: I, options?: DownstreamApiOverride, user?: unknown): Promise<T | undefined>
  patchForUser<T = unknown, I = unknown> (api: ApiName, input: I, options?: DownstreamApiOverride, user?: unknown): Promise<T | undefined>
  /** A DELETE without a body; one with a body goes through {@link callApiForUser}. */
  deleteForUser<T = unknown> (api: ApiName, options?: DownstreamApiOverride, user?: unknown): Promise<T | undefined>
  headForUser<T = unknown> (api: ApiName, options?: DownstreamApiOverride, user?: unknown): Promise<T | undefined>

  callApiForApp (api: ApiName, options?: DownstreamApiOverride, content?: unknown): Promise<DownstreamResponse>
  callApiForUser (api: ApiName, options?: DownstreamApiOverride, content?: unknown, user?: unknown): Promise<DownstreamResponse>
  /** As the app where `requestAppToken` or a managed identity is configured, else on behalf of the caller. */
  callApi (api: ApiName, options?: DownstreamApiOverride, content?: unknown, user?: unknown): Promise<DownstreamResponse>
}
