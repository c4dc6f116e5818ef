import { applyOverride, checkApi, mutableCopy } from '../configuration/override.ts'
import type { ApiConfiguration, Configuration } from '../configuration/configuration.ts'
import type { DownstreamApiOptions } from '../configuration/schema.ts'
import { ConfigurationError, UnknownApiError } from '../errors.ts'
import type { Caller as RequestCaller } from '../inbound/caller.ts'
import type { Logger } from '../logger.ts'
import { identityOf, type Caller, type Identity } from '../tokens/identity.ts'
import type { ConfiguredTokenAcquirer } from '../tokens/token-acquirer.ts'
import type { PreparedRequest } from '../tokens/token-request.ts'
import type { Token } from '../tokens/token.ts'
import { untilAborted } from '../until-aborted.ts'
import { requireInsideApiStill } from './api-url.ts'
import type { ApiName } from './api-names.ts'
import { addressOf, listOf, planCall, type CallPlan } from './call-plan.ts'
import { claimsRetry } from './claims-retry.ts'
import type { DownstreamApi, DownstreamApiOverride } from './downstream-api.ts'
import { StreamingResponse } from './downstream-response.ts'
import { Exchange } from './exchange.ts'
import { requestBody, waiting, type WireBody } from './request-body.ts'
import { requireDeclaredIdentity, type RouteApi } from './route-apis.ts'
import type { Transport, WireRequest } from './transport.ts'
import { errorBodyLimit, statusError, typedBody } from './typed-body.ts'
import type { DownstreamRequest, DownstreamResponse } from './types.ts'

/** What all clients of one configuration share. */
export interface DownstreamServices {
  readonly configuration: Configuration
  readonly acquirer: ConfiguredTokenAcquirer
  readonly transport: Transport
  /** By the API, as its section or a route has it, and the identity. */
  readonly plans: WeakMap<ApiConfiguration, Map<Identity | undefined, CallPlan>>
}

/** What a client is bound to; a request binds its own. */
export interface CallContext {
  readonly logger: Logger
  /** Ends the calls. */
  readonly signal?: () => AbortSignal
  /** On whose behalf calls are made, where nobody else is named. */
  readonly requestCaller?: () => RequestCaller | undefined
  /** What the route says of its APIs, by service name. */
  readonly routeApis?: ReadonlyMap<string, RouteApi>
}

/** One call, all of it decided. */
interface Call {
  readonly plan: CallPlan
  /** `undefined` for an API without scopes, which is called without a token. */
  readonly token: PreparedRequest | undefined
  readonly method: string
  readonly content: unknown
  /** The exchange that was answered with a claims challenge, where the call is made once more for it. */
  readonly challenged?: Exchange
}

/** A request that is ready to leave. */
interface Composed {
  readonly wire: WireRequest
  readonly url: string
  /** What it says in confidence. */
  readonly secrets: readonly string[]
}

interface Settle<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

/** What becomes of an answer. */
type Answered<T> = (exchange: Exchange, call: Call, composed: Composed, settle: Settle<T>) => void

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

  getForUser<T> (api: ApiName, options?: DownstreamApiOverride, user?: unknown) { return this.#typed<T>('user', 'GET', api, options, undefined, user) }
  postForUser<T> (api: ApiName, input: unknown, options?: DownstreamApiOverride, user?: unknown) { return this.#typed<T>('user', 'POST', api, options, input, user) }
  putForUser<T> (api: ApiName, input: unknown, options?: DownstreamApiOverride, user?: unknown) { return this.#typed<T>('user', 'PUT', api, options, input, user) }
  patchForUser<T> (api: ApiName, input: unknown, options?: DownstreamApiOverride, user?: unknown) { return this.#typed<T>('user', 'PATCH', api, options, input, user) }
  deleteForUser<T> (api: ApiName, options?: DownstreamApiOverride, user?: unknown) { return this.#typed<T>('user', 'DELETE', api, options, undefined, user) }
  headForUser<T> (api: ApiName, options?: DownstreamApiOverride, user?: unknown) { return this.#typed<T>('user', 'HEAD', api, options, undefined, user) }

  callApiForApp (api: ApiName, options?: DownstreamApiOverride, content?: unknown) { return this.#plain('app', api, options, content) }
  callApiForUser (api: ApiName, options?: DownstreamApiOverride, content?: unknown, user?: unknown) { return this.#plain('user', api, options, content, user) }
  callApi (api: ApiName, options?: DownstreamApiOverride, content?: unknown, user?: unknown) { return this.#plain('configured', api, options, content, user) }

  #plain (caller: Caller, name: string, override: DownstreamApiOverride | undefined, content: unknown, user?: unknown): Promise<DownstreamResponse> {
    return this.#call(caller, undefined, name, override, content, user, giveResponse)
  }

  #typed<T> (caller: Caller, method: string, name: string, override: DownstreamApiOverride | undefined, content?: unknown, user?: unknown): Promise<T | undefined> {
    return this.#call<T | undefined>(caller, method, name, override, content, user, giveValue as Answered<T | undefined>)
  }

  /** @param method of the verb; without one, the API's */
  #call<T> (caller: Caller, method: string | undefined, name: string, override: DownstreamApiOverride | undefined, content: unknown, user: unknown, answered: Answered<T>): Promise<T> {
    try {
      const options = typeof override === 'function' ? new RecordedOverride(override) : undefined
      const plan = this.#plan(caller, name, options?.apply ?? override)
      const make = (token?: PreparedRequest) => new Promise<T>((resolve, reject) => {
        this.#attempt({ plan, token, method: method ?? plan.api.httpMethod, content }, answered, { resolve, reject })
      })
      if (plan.token === undefined) return make()
      const token = this.#services.acquirer.requestOf(plan.token, user, this.#context.requestCaller?.(), () => options?.copy ?? override)
      return token instanceof Promise ? token.then(make) : make(token)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Makes a call, for the first time or once more. */
  #attempt<T> (call: Call, answered: Answered<T>, settle: Settle<T>): void {
    const { plan: { api, identity, isPlain }, challenged } = call
    let composed: Composed
    const exchange = new Exchange({
      name: api.name,
      timeout: api.timeout,
      before: challenged,
      signals: this.#signals(api),
      onAnswer: exchange => {
        this.#context.logger.debug({ api: api.name, method: call.method, identity, status: exchange.status }, 'downstream API called')
        if (exchange.status === 401) this.#unauthorized(exchange, call, composed, answered, settle)
        else answered(exchange, call, composed, settle)
      },
      onFailure: settle.reject,
    })
    if (exchange.isOver) return

    const send = (ready: Composed) => {
      composed = ready
      if (!exchange.isOver) this.#services.transport.send(ready.wire, api, exchange)
    }
    const end = (error: unknown) => exchange.end(error)
    // Where the token is at hand and no code of the user's has a say, nothing is waited for.
    const token = isPlain && challenged === undefined ? this.#services.acquirer.atHand(call.token!) : undefined
    if (token === undefined) this.#compose(call, exchange).then(send, end)
    else attempt(() => send(composePlain(call, token)), end)
  }

  /** What is done after a 401: it may be a claims challenge. */
  #unauthorized<T> (exchange: Exchange, call: Call, composed: Composed, answered: Answered<T>, settle: Settle<T>): void {
    const { plan: { api: { name }, identity }, token, content, challenged } = call
    const { logger } = this.#context
    const discard = () => new StreamingResponse(name, composed.url, exchange).discard()
    const retry = claimsRetry(exchange, name, { token, isRetry: challenged !== undefined, content, wireBody: composed.wire.body })
    switch (retry.kind) {
      case 'none':
        answered(exchange, call, composed, settle)
        break
      case 'now':
        logger.debug({ api: name, identity }, 'claims challenge: the downstream API is called once more, with a new token')
        discard().then(() => this.#attempt({ ...call, token: retry.token, challenged: exchange }, answered, settle)).catch(settle.reject)
        break
      case 'next call':
        this.#services.acquirer.acquire(retry.token, { logger }).catch((error: unknown) => logger.debug({ err: error, api: name, identity }, 'claims challenge: no new token for the next call'))
        answered(exchange, call, composed, settle)
        break
      case 'user':
        discard()
        settle.reject(retry.error)
    }
  }

  #signals (api: ApiConfiguration): AbortSignal[] {
    const ofRequest = this.#context.signal?.()
    if (api.signal === undefined) return ofRequest === undefined ? [] : [ofRequest]
    return ofRequest === undefined ? [api.signal] : [api.signal, ofRequest]
  }

  /** The API's options with the override in them, and as whom it is called. */
  #plan (caller: Caller, name: string, override: DownstreamApiOverride | undefined): CallPlan {
    const { configuration } = this.#services
    const declared = this.#context.routeApis?.get(name)
    const base = declared?.api ?? configuration.apis.get(name)
    if (base === undefined) throw unknownApi(name, configuration)

    const api = overridden(base, override)
    const identity = declared?.identity === undefined
      ? api.scopes.length === 0 ? undefined : identityOf(caller, api, name)
      : requireDeclaredIdentity(declared.identity, caller, declared.api, api)
    if (api === base) return this.#known(base, identity) ?? this.#keep(base, identity)
    return this.#plannedLike(this.#known(base, identity) ?? this.#keepForOverrides(base, api, identity), api, identity)
  }

  #known (base: ApiConfiguration, identity: Identity | undefined): CallPlan | undefined {
    return this.#services.plans.get(base)?.get(identity)
  }

  #keep (base: ApiConfiguration, identity: Identity | undefined): CallPlan {
    const { plans } = this.#services
    const plan = this.#plannedLike(undefined, base, identity)
    plans.set(base, (plans.get(base) ?? new Map<Identity | undefined, CallPlan>()).set(identity, plan))
    return plan
  }

  /** The plan of an API that is only ever called with overrides, so that its token is prepared once; `undefined` where the override has a say in the token. */
  #keepForOverrides (base: ApiConfiguration, api: ApiConfiguration, identity: Identity | undefined): CallPlan | undefined {
    if (api.scopes !== base.scopes || api.acquireTokenOptions !== base.acquireTokenOptions || api.requestAppToken !== base.requestAppToken) return undefined
    try {
      return this.#keep(base, identity)
    } catch {
      // What the API lacks, the override may have: what is wrong with the call itself is found there.
      return undefined
    }
  }

  #plannedLike (like: CallPlan | undefined, api: ApiConfiguration, identity: Identity | undefined): CallPlan {
    return planCall(api, identity, this.#services.acquirer, this.#context.logger, like)
  }

  /** The request, with its hooks run in the order of the model, and its token. */
  async #compose ({ plan, token: prepared, method, content }: Call, exchange: Exchange): Promise<Composed> {
    const { api, url } = plan
    const { logger } = this.#context
    const { signal } = exchange
    const isSerialized = api.serializer !== undefined && content !== undefined && content !== null
    const { body, contentType } = requestBody(api, isSerialized ? await api.serializer!(content) : content, isSerialized)
    const request: DownstreamRequest = { method, url, headers: headersOf(plan, contentType, logger), body }
    const secrets: string[] = []

    if (prepared === undefined) {
      logger.info({ api: api.name }, 'downstream API called without a token: it has no scopes')
    } else {
      await untilAborted(Promise.resolve(api.onBeforeAuthHeaderCreation?.(request)), signal)
      waiting(request.body)
      const { forceRefresh, signal: ofToken } = api.acquireTokenOptions
      const { token } = await this.#services.acquirer.acquire(prepared, { forceRefresh, logger, signal: ofToken === undefined ? signal : AbortSignal.any([signal, ofToken]) })
      secrets.push(token.accessToken)
      request.headers.set('authorization', token.authorizationHeader)
      await untilAborted(Promise.resolve(api.onAfterAuthHeaderCreation?.(request)), signal)
      waiting(request.body)
    }
    await untilAborted(Promise.resolve(api.customizeHttpRequestMessage?.(request)), signal)

    const target = requireInsideApiStill(String(request.url), url, api)
    return { url: target, secrets, wire: { method: request.method, ...addressOf(target), headers: listOf(request.headers), body: request.body as WireBody } }
  }
}

/** The request where nothing but the token and the body is to be added to the plan. */
function composePlain ({ plan, method, content }: Call, token: Token): Composed {
  const { api, url, origin, path } = plan
  const { body, contentType } = requestBody(api, content)
  const headers = [...plan.headers, 'authorization', token.authorizationHeader]
  if (contentType !== undefined) headers.push('content-type', contentType)
  return { url, wire: { method, origin, path, headers, body }, get secrets () { return [token.accessToken] } }
}

/** `callApi…` give the answer as it is. */
const giveResponse: Answered<DownstreamResponse> = (exchange, { plan }, { url }, { resolve }) => {
  exchange.waitForBody()
  resolve(new StreamingResponse(plan.api.name, url, exchange))
}

/** The typed verbs give what the body says, and take no other status than 2xx. */
const giveValue: Answered<unknown> = (exchange, { plan: { api }, method }, composed, { resolve, reject }) => {
  const { ok } = exchange
  if (ok && api.deserializer !== undefined) {
    const { deserializer } = api
    const response = new StreamingResponse(api.name, composed.url, exchange)
    untilAborted((async () => deserializer(response))(), exchange.signal).then(resolve, reject).finally(() => exchange.end(new Error('the body is not wanted')))
  } else if (ok && api.responseType === 'stream') {
    exchange.waitForBody()
    resolve(exchange.takeStream())
  } else {
    exchange.takeWhole((error, body) => attempt(() => {
      // The status is what matters: the body of an error that breaks off is kept as far as it came.
      if (!ok && !exchange.wasEnded) throw statusError(exchange, body, api.name, composed.secrets)
      if (error !== undefined) throw error
      resolve(typedBody(exchange, body, api, method))
    }, reject), ok ? undefined : errorBodyLimit(composed.secrets))
  }
}

function attempt (work: () => void, failed: (error: unknown) => void): void {
  try {
    work()
  } catch (error) {
    failed(error)
  }
}

/** A function that changes a copy of the options, and the copy: what a call has to tell is written there. */
class RecordedOverride {
  copy: DownstreamApiOptions | undefined
  readonly #override: (options: DownstreamApiOptions) => void

  constructor (override: (options: DownstreamApiOptions) => void) {
    this.#override = override
  }

  readonly apply = (options: DownstreamApiOptions): void => {
    this.copy = options
    return this.#override(options)
  }
}

function headersOf (plan: CallPlan, contentType: string | undefined, logger: Logger): Headers {
  const headers = new Headers()
  for (let index = 0; index < plan.headers.length; index += 2) headers.set(plan.headers[index]!, plan.headers[index + 1]!)
  if (contentType === undefined) return headers

  if (headers.has('content-type')) logger.warn({ api: plan.api.name, header: 'content-type' }, 'extra header skipped: the request has it already')
  headers.set('content-type', contentType)
  return headers
}

function overridden (base: ApiConfiguration, override: DownstreamApiOverride | undefined): ApiConfiguration {
  if (override === undefined) return base
  if (typeof override === 'string') return Object.freeze({ ...base, relativePath: override })
  if (typeof override !== 'function') return applyOverride(base, override, base.name, { baseUrl: false })

  const copy = mutableCopy(base)
  const returned: unknown = override(copy)
  if (typeof (returned as PromiseLike<unknown> | undefined)?.then === 'function') {
    (returned as PromiseLike<unknown>).then(undefined, () => {})
    throw new ConfigurationError([`${base.name}: the override is an async function, whose changes would come too late: work them out before the call`])
  }
  return checkApi(copy, base, base.name)
}

function unknownApi (name: string, { apis }: Configuration): UnknownApiError {
  const names = [...apis.keys()].map(known => `"${known}"`).join(', ')
  return new UnknownApiError(`No downstream API is configured as "${name}": ${names === '' ? 'none is configured' : `there is ${names}`}. Names are case-sensitive`)
}
