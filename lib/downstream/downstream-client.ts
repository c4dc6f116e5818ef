import { applyOverride, checkApi, mutableCopy } from '../configuration/override.ts'
import type { ApiConfiguration, Configuration } from '../configuration/configuration.ts'
import { DownstreamTimeoutError, UnknownApiError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { identityOf, type Caller, type Identity } from '../tokens/identity.ts'
import { untilAborted } from '../until-aborted.ts'
import type { ConfiguredTokenAcquirer } from '../tokens/token-acquirer.ts'
import { apiUrl, requireInsideApiStill } from './api-url.ts'
import type { ApiName } from './api-names.ts'
import { CallDeadline } from './call-deadline.ts'
import { callTimeout, toDownstreamError } from './downstream-error.ts'
import type { DownstreamApi, DownstreamApiOverride } from './downstream-api.ts'
import { StreamingResponse } from './downstream-response.ts'
import { requestBody, type WireBody } from './request-body.ts'
import { requestHeaders } from './request-headers.ts'
import { requireDeclaredIdentity, type RouteApi } from './route-apis.ts'
import type { Transport } from './transport.ts'
import { typedBody } from './typed-body.ts'
import type { DownstreamRequest, DownstreamResponse } from './types.ts'

/** What all clients of one configuration share. */
export interface DownstreamServices {
  readonly configuration: Configuration
  readonly acquirer: ConfiguredTokenAcquirer
  readonly transport: Transport
}

/** What a client is bound to; a request binds its own. */
export interface CallContext {
  readonly logger: Logger
  /** Ends the calls. */
  readonly signal?: () => AbortSignal
  /** What the route says of its APIs, by service name. */
  readonly routeApis?: ReadonlyMap<string, RouteApi>
}

/** One call, its options decided. */
interface Call {
  readonly api: ApiConfiguration
  readonly method: string
  /** `undefined` for an API without scopes, which is called without a token. */
  readonly identity: Identity | undefined
  readonly content: unknown
}

interface Exchange {
  readonly response: DownstreamResponse
  /** What was sent in confidence. */
  readonly secrets: readonly string[]
}

/** The client: what a call is made of, in the order in which it is made. */
export class DownstreamClient implements DownstreamApi {
  readonly #services: DownstreamServices
  readonly #context: CallContext

  constructor (services: DownstreamServices, context: CallContext) {
    this.#services = services
    this.#context = context
  }

  getForApp<T> (api: ApiName, options?: DownstreamApiOverride) { return this.#typed<T>('app', 'GET', api, options) }
  postForApp<T> (api: ApiName, input: unknown, options?: DownstreamApiOverride) { return this.#typed<T>('app', 'POST', api, options, input) }
  putForApp<T> (api: ApiName, input: unknown, options?: DownstreamApiOverride) { return this.#typed<T>('app', 'PUT', api, options, input) }
  patchForApp<T> (api: ApiName, input: unknown, options?: DownstreamApiOverride) { return this.#typed<T>('app', 'PATCH', api, options, input) }
  deleteForApp<T> (api: ApiName, options?: DownstreamApiOverride) { return this.#typed<T>('app', 'DELETE', api, options) }
  headForApp<T> (api: ApiName, options?: DownstreamApiOverride) { return this.#typed<T>('app', 'HEAD', api, options) }

  getForUser<T> (api: ApiName, options?: DownstreamApiOverride) { return this.#typed<T>('user', 'GET', api, options) }
  postForUser<T> (api: ApiName, input: unknown, options?: DownstreamApiOverride) { return this.#typed<T>('user', 'POST', api, options, input) }
  putForUser<T> (api: ApiName, input: unknown, options?: DownstreamApiOverride) { return this.#typed<T>('user', 'PUT', api, options, input) }
  patchForUser<T> (api: ApiName, input: unknown, options?: DownstreamApiOverride) { return this.#typed<T>('user', 'PATCH', api, options, input) }
  deleteForUser<T> (api: ApiName, options?: DownstreamApiOverride) { return this.#typed<T>('user', 'DELETE', api, options) }
  headForUser<T> (api: ApiName, options?: DownstreamApiOverride) { return this.#typed<T>('user', 'HEAD', api, options) }

  callApiForApp (api: ApiName, options?: DownstreamApiOverride, content?: unknown) { return this.#plain('app', api, options, content) }
  callApiForUser (api: ApiName, options?: DownstreamApiOverride, content?: unknown) { return this.#plain('user', api, options, content) }
  callApi (api: ApiName, options?: DownstreamApiOverride, content?: unknown) { return this.#plain('configured', api, options, content) }

  async #plain (caller: Caller, name: string, override: DownstreamApiOverride | undefined, content: unknown): Promise<DownstreamResponse> {
    const call = this.#decide(caller, name, override, content)
    const deadline = this.#deadlineOf(call)
    const { response } = await this.#exchange(call, deadline)
    deadline.stopTimer()
    return response
  }

  async #typed<T> (caller: Caller, method: string, name: string, override: DownstreamApiOverride | undefined, content?: unknown): Promise<T | undefined> {
    const call = { ...this.#decide(caller, name, override, content), method }
    const deadline = this.#deadlineOf(call)
    const { response, secrets } = await this.#exchange(call, deadline)
    const streams = call.api.responseType === 'stream' && response.ok && !call.api.deserializer
    if (streams) deadline.stopTimer()
    try {
      return await untilAborted(typedBody(response, call.api, method, secrets), deadline.signal) as T | undefined
    } finally {
      if (!streams) response.body.destroy()
    }
  }

  /** The API's options with the override in them, and as whom it is called. */
  #decide (caller: Caller, name: string, override: DownstreamApiOverride | undefined, content: unknown): Call {
    const { configuration } = this.#services
    const declared = this.#context.routeApis?.get(name)
    const base = declared?.api ?? configuration.apis.get(name)
    if (base === undefined) throw unknownApi(name, configuration)

    const api = overridden(base, override)
    const identity = declared?.identity === undefined
      ? api.scopes.length === 0 ? undefined : identityOf(caller, api, name)
      : requireDeclaredIdentity(declared.identity, caller, declared.api, api)
    return { api, method: api.httpMethod, identity, content }
  }

  #deadlineOf ({ api }: Call): CallDeadline {
    return new CallDeadline(api.timeout, [api.signal, this.#context.signal?.()], () => callTimeout(api.name, api.timeout))
  }

  async #exchange (call: Call, deadline: CallDeadline): Promise<Exchange> {
    const { api } = call
    const { signal } = deadline
    try {
      signal.throwIfAborted()
      const { request, secrets } = await untilAborted(this.#compose(call, signal), signal)
      const wire = { ...request, body: request.body as WireBody }
      const data = await this.#services.transport.send(wire, { dispatcher: api.dispatcher, retry: api.retry, signal })
        .catch((error: unknown) => { throw toDownstreamError(error, api.name, signal) })
      this.#context.logger.debug({ api: api.name, method: request.method, identity: call.identity, status: data.statusCode }, 'downstream API called')
      return { response: new StreamingResponse(api.name, request.url, data, deadline), secrets }
    } catch (error) {
      deadline.release()
      if (error instanceof DownstreamTimeoutError) this.#context.logger.debug({ api: api.name, timeout: api.timeout }, 'downstream API did not answer in time')
      throw error
    }
  }

  /** The request, with its hooks run in the order of the model, and its token. */
  async #compose ({ api, method, identity, content }: Call, signal: AbortSignal): Promise<{ request: DownstreamRequest, secrets: string[] }> {
    const { logger } = this.#context
    const url = apiUrl(api)
    const { body, contentType } = requestBody(api, content)
    const request: DownstreamRequest = { method, url, headers: requestHeaders(api, contentType, logger), body }
    const secrets: string[] = []

    if (identity === undefined) {
      logger.info({ api: api.name }, 'downstream API called without a token: it has no scopes')
    } else {
      await api.onBeforeAuthHeaderCreation?.(request)
      const { acquirer } = this.#services
      const { forceRefresh, signal: ofToken } = api.acquireTokenOptions
      const { token } = await acquirer.acquire(acquirer.prepare(identity, api.scopes, api.acquireTokenOptions, api.name), { forceRefresh, signal: ofToken === undefined ? signal : AbortSignal.any([signal, ofToken]), logger })
      secrets.push(token.accessToken)
      request.headers.set('authorization', token.authorizationHeader)
      await api.onAfterAuthHeaderCreation?.(request)
    }
    await api.customizeHttpRequestMessage?.(request)

    request.url = requireInsideApiStill(request.url, url, api)
    return { request, secrets }
  }
}

function overridden (base: ApiConfiguration, override: DownstreamApiOverride | undefined): ApiConfiguration {
  if (override === undefined) return base
  if (typeof override !== 'function') return applyOverride(base, typeof override === 'string' ? { relativePath: override } : override, base.name, { baseUrl: false })

  const copy = mutableCopy(base)
  override(copy)
  return checkApi(copy, base, base.name)
}

function unknownApi (name: string, { apis }: Configuration): UnknownApiError {
  const names = [...apis.keys()].map(known => `"${known}"`).join(', ')
  return new UnknownApiError(`No downstream API is configured as "${name}": ${names === '' ? 'none is configured' : `there is ${names}`}. Names are case-sensitive`)
}
