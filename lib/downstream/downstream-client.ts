import { applyOverride, checkApi, mutableCopy } from '../configuration/override.ts'
import type { ApiConfiguration, Configuration } from '../configuration/configuration.ts'
import { ConfigurationError, UnknownApiError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { identityOf, type Caller, type Identity } from '../tokens/identity.ts'
import type { ConfiguredTokenAcquirer } from '../tokens/token-acquirer.ts'
import type { Token } from '../tokens/token.ts'
import { untilAborted } from '../until-aborted.ts'
import { requireInsideApiStill } from './api-url.ts'
import type { ApiName } from './api-names.ts'
import { addressOf, listOf, planCall, type CallPlan } from './call-plan.ts'
import type { DownstreamApi, DownstreamApiOverride } from './downstream-api.ts'
import { StreamingResponse } from './downstream-response.ts'
import { Exchange } from './exchange.ts'
import { requestBody, type WireBody } from './request-body.ts'
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
  /** What the route says of its APIs, by service name. */
  readonly routeApis?: ReadonlyMap<string, RouteApi>
}

/** One call, all of it decided. */
interface Call {
  readonly plan: CallPlan
  readonly method: string
  readonly content: unknown
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

  getForUser<T> (api: ApiName, options?: DownstreamApiOverride) { return this.#typed<T>('user', 'GET', api, options) }
  postForUser<T> (api: ApiName, input: unknown, options?: DownstreamApiOverride) { return this.#typed<T>('user', 'POST', api, options, input) }
  putForUser<T> (api: ApiName, input: unknown, options?: DownstreamApiOverride) { return this.#typed<T>('user', 'PUT', api, options, input) }
  patchForUser<T> (api: ApiName, input: unknown, options?: DownstreamApiOverride) { return this.#typed<T>('user', 'PATCH', api, options, input) }
  deleteForUser<T> (api: ApiName, options?: DownstreamApiOverride) { return this.#typed<T>('user', 'DELETE', api, options) }
  headForUser<T> (api: ApiName, options?: DownstreamApiOverride) { return this.#typed<T>('user', 'HEAD', api, options) }

  callApiForApp (api: ApiName, options?: DownstreamApiOverride, content?: unknown) { return this.#plain('app', api, options, content) }
  callApiForUser (api: ApiName, options?: DownstreamApiOverride, content?: unknown) { return this.#plain('user', api, options, content) }
  callApi (api: ApiName, options?: DownstreamApiOverride, content?: unknown) { return this.#plain('configured', api, options, content) }

  #plain (caller: Caller, name: string, override: DownstreamApiOverride | undefined, content: unknown): Promise<DownstreamResponse> {
    return this.#call(caller, undefined, name, override, content, giveResponse)
  }

  #typed<T> (caller: Caller, method: string, name: string, override: DownstreamApiOverride | undefined, content?: unknown): Promise<T | undefined> {
    return this.#call<T | undefined>(caller, method, name, override, content, giveValue as Answered<T | undefined>)
  }

  /** @param method of the verb; without one, the API's */
  #call<T> (caller: Caller, method: string | undefined, name: string, override: DownstreamApiOverride | undefined, content: unknown, answered: Answered<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const plan = this.#plan(caller, name, override)
      const { api, identity } = plan
      const call: Call = { plan, method: method ?? api.httpMethod, content }
      let composed: Composed
      const exchange = new Exchange({
        name,
        timeout: api.timeout,
        signals: this.#signals(api),
        onAnswer: exchange => {
          this.#context.logger.debug({ api: name, method: call.method, identity, status: exchange.status }, 'downstream API called')
          answered(exchange, call, composed, { resolve, reject })
        },
        onFailure: reject,
      })
      if (exchange.isOver) return

      const send = (ready: Composed) => {
        composed = ready
        if (!exchange.isOver) this.#services.transport.send(ready.wire, api, exchange)
      }
      const end = (error: unknown) => exchange.end(error)
      // Where the token is at hand and no code of the user's has a say, nothing is waited for.
      const token = plan.isPlain ? this.#services.acquirer.atHand(plan.token!) : undefined
      if (token === undefined) this.#compose(call, exchange).then(send, end)
      else attempt(() => send(composePlain(call, token)), end)
    })
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
  async #compose ({ plan, method, content }: Call, exchange: Exchange): Promise<Composed> {
    const { api, token: prepared, url } = plan
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
      const { forceRefresh, signal: ofToken } = api.acquireTokenOptions
      const { token } = await this.#services.acquirer.acquire(prepared, { forceRefresh, logger, signal: ofToken === undefined ? signal : AbortSignal.any([signal, ofToken]) })
      secrets.push(token.accessToken)
      request.headers.set('authorization', token.authorizationHeader)
      await untilAborted(Promise.resolve(api.onAfterAuthHeaderCreation?.(request)), signal)
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
const giveValue: Answered<unknown> = (exchange, { plan: { api }, method }, { url, secrets }, { resolve, reject }) => {
  const { ok } = exchange
  if (ok && api.deserializer !== undefined) {
    const { deserializer } = api
    const response = new StreamingResponse(api.name, url, exchange)
    untilAborted((async () => deserializer(response))(), exchange.signal).then(resolve, reject).finally(() => exchange.end(new Error('the body is not wanted')))
  } else if (ok && api.responseType === 'stream') {
    exchange.waitForBody()
    resolve(exchange.takeStream())
  } else {
    exchange.takeWhole((error, body) => attempt(() => {
      // The status is what matters: the body of an error that breaks off is kept as far as it came.
      if (!ok && !exchange.wasEnded) throw statusError(exchange, body, api.name, secrets)
      if (error !== undefined) throw error
      resolve(typedBody(exchange, body, api, method))
    }, reject), ok ? undefined : errorBodyLimit(secrets))
  }
}

function attempt (work: () => void, failed: (error: unknown) => void): void {
  try {
    work()
  } catch (error) {
    failed(error)
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
