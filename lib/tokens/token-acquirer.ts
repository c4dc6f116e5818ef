import { authorityForApp, authorityForUser } from '../authorities/authority.ts'
import { mergeParameters } from '../authorities/query-parameters.ts'
import type { Authority } from '../authorities/authority.ts'
import type { AppConfiguration, Configuration } from '../configuration/configuration.ts'
import type { AcquireTokenOptions, ManagedIdentityOptions } from '../configuration/schema.ts'
import { DEFAULT_APP_SECTION } from '../configuration/app-options.ts'
import { checkAcquireTokenOptions } from '../configuration/override.ts'
import { IdentityNotAllowedError, NoAuthorityError, UserTokenRequiredError } from '../errors.ts'
import type { Caller } from '../inbound/caller.ts'
import type { Logger } from '../logger.ts'
import { CallerRequests } from './caller-requests.ts'
import { identityOf, type AppIdentity, type Identity } from './identity.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { requireDefaultScope, resourceOf } from './scopes.ts'
import { SessionRequests } from './session-requests.ts'
import { writeSessionKey } from './session-key.ts'
import type { TokenEngine } from './token-engine.ts'
import type { TokenDiagnostics } from './token-diagnostics.ts'
import { identityOfFlow, prepare, sessionSuffix, type ClientCredentialsRequest, type EntraRequest, type ManagedIdentityRequest, type OnBehalfOfRequest, type PreparedRequest } from './token-request.ts'
import type { Token, TokenSource } from './token.ts'
import { workloadIdentity } from './workload-identity.ts'

/** An access token, as `getTokenForApp` and `getTokenForUser` give it. */
export interface AcquireTokenResult {
  readonly accessToken: string
  readonly expiresOn: Date
  /** The tenant that was asked; `undefined` for a managed identity whose platform knows it. */
  readonly tenantId: string | undefined
  readonly scopes: readonly string[]
  /** Identifies the token request in the sign-in logs of Entra ID. */
  readonly correlationId: string
  readonly tokenType: string
  readonly tokenSource: TokenSource
}

/** Gives access tokens, for code that makes the call itself. */
export interface TokenAcquirer {
  /**
   * A token for the app: of its managed identity where `acquireTokenOptions.managedIdentity` is set, else by its client credential.
   *
   * @param scope ends in `/.default`
   */
  getTokenForApp (scope: string, acquireTokenOptions?: AcquireTokenOptions): Promise<AcquireTokenResult>
  /**
   * A token for the app on behalf of the caller.
   *
   * @param user the raw inbound token, or what `request.user` came from
   */
  getTokenForUser (scopes: string | readonly string[], acquireTokenOptions?: AcquireTokenOptions, user?: unknown): Promise<AcquireTokenResult>
  /**
   * Ends long-running work on behalf of a user: forgets its refresh token, here and in the shared store, and the tokens that this process has of it.
   *
   * @param sessionKey `longRunningWebApiSessionKey` of the calls
   */
  endSession (sessionKey: string): Promise<void>
  /**
   * Forgets the tokens that this process has on behalf of a caller, here and in the shared store, as when the user signs out. The caller's own
   * token ends when it ends.
   *
   * @param user the raw inbound token, or what `request.user` came from
   */
  forgetUser (user: unknown): Promise<void>
  /** What is known of every token at hand, and of requests that have failed since there was one; never a token. Frozen. */
  diagnostics (): readonly TokenDiagnostics[]
}

/** A token, where it came from, and whose it is. */
export interface AcquiredToken {
  readonly token: Token
  readonly source: TokenSource
  readonly identity: Identity
}

/** What a call asks for: the same whoever calls, or for each caller another. */
export type TokenPlan = PreparedRequest | CallerRequests | SessionRequests

/** Finds the caller whom code names: by a token, its claims or a request; rejects or throws where there is none. */
export type FindCaller = (user: unknown) => Caller | Promise<Caller>

/** The circumstances in which a token is asked for. */
export interface AcquireContext {
  readonly forceRefresh?: boolean | undefined
  /** Ends the wait of this caller only. */
  readonly signal?: AbortSignal | undefined
  readonly logger?: Logger | undefined
}

export interface TokenAcquirerServices {
  readonly configuration: Configuration
  readonly engine: TokenEngine
  readonly sessions: Sessions
  /** `undefined` where callers are not validated. */
  readonly findCaller: FindCaller | undefined
  readonly logger: Logger
}

/** Turns what a call asks for into the request for one token. */
export class ConfiguredTokenAcquirer implements TokenAcquirer {
  readonly #configuration: Configuration
  readonly #engine: TokenEngine
  readonly #logger: Logger
  readonly #sessions: Sessions
  readonly #findCaller: FindCaller | undefined

  constructor ({ configuration, engine, sessions, findCaller, logger }: TokenAcquirerServices) {
    this.#configuration = configuration
    this.#engine = engine
    this.#sessions = sessions
    this.#logger = logger
    this.#findCaller = findCaller
  }

  getTokenForApp (scope: string, acquireTokenOptions?: AcquireTokenOptions): Promise<AcquireTokenResult> {
    return this.#getToken('app', [scope], acquireTokenOptions)
  }

  getTokenForUser (scopes: string | readonly string[], acquireTokenOptions?: AcquireTokenOptions, user?: unknown): Promise<AcquireTokenResult> {
    return this.#getToken('user', [scopes].flat(), acquireTokenOptions, user)
  }

  /**
   * What a call asks for, so that it can be asked for often.
   *
   * @param options have been checked
   * @param api service name of the downstream API that the token is for
   * @throws IdentityNotAllowedError where the app is asked to go on for a user
   */
  plan (identity: Identity, scopes: readonly string[], options: AcquireTokenOptions, api?: string): TokenPlan {
    const { longRunningWebApiSessionKey: sessionKey } = options
    if (identity !== 'user') {
      if (sessionKey !== undefined) throw new IdentityNotAllowedError('A long-running session is a user\'s, and the call is made as the app: use a …ForUser method, or leave longRunningWebApiSessionKey out')
      return this.prepare(identity, scopes, options, api)
    }
    if (sessionKey === undefined) return new CallerRequests(tenantId => this.#onBehalfOfRequest(scopes, options, tenantId), api)
    return new SessionRequests({
      sessionKey,
      like: session => ({ flow: 'longRunning', ...session, ...this.#userRequest(scopes, options, session.userTenant) }),
      find: key => this.#sessions.head(key),
      forget: prepared => this.#engine.drop(prepared),
      api,
    })
  }

  /** What is asked for as the app. */
  prepare (identity: AppIdentity, scopes: readonly string[], options: AcquireTokenOptions, api?: string): PreparedRequest {
    const scope = appScope(scopes)
    return prepare(identity === 'managed-identity' ? this.#managedIdentityRequest(scope, options) : this.#clientCredentialsRequest(scope, options), api)
  }

  /** The token at hand; `undefined` where one must be waited for. */
  atHand (prepared: PreparedRequest): Token | undefined {
    return this.#engine.atHand(prepared)
  }

  async acquire (prepared: PreparedRequest, { forceRefresh, signal, logger = this.#logger }: AcquireContext): Promise<AcquiredToken> {
    const { token, source } = await this.#engine.acquire(prepared, { forceRefresh, signal })
    if (source !== 'cache') {
      const { flow, scopes, api } = prepared.description
      logger.debug({ flow, scopes, api, tokenSource: source, correlationId: token.correlationId, expiresOn: new Date(token.expiresOn) }, 'token acquired')
    }
    return { token, source, identity: identityOfFlow[prepared.request.flow] }
  }

  /**
   * The request of a call: at once, or where it must be found out first who the user is, or whose session it goes on with, a promise of it.
   *
   * @param user whom code names; `undefined` for the caller of the request
   * @param ofRequest the caller of the request that the call is bound to
   * @param given where a session key is written that is made for the call
   * @throws UserTokenRequiredError
   * @throws ForbiddenError
   */
  requestOf (plan: TokenPlan, user: unknown, ofRequest: Caller | undefined, given: () => unknown): PreparedRequest | Promise<PreparedRequest> {
    if (plan instanceof CallerRequests) {
      const caller = this.#caller(user, ofRequest)
      return caller instanceof Promise ? caller.then(caller => plan.of(caller)) : plan.of(caller)
    }
    return plan instanceof SessionRequests ? this.#requestOfSession(plan, user, ofRequest, given) : plan
  }

  async endSession (sessionKey: string): Promise<void> {
    await this.#sessions.end(sessionKey).finally(() => this.#engine.forget(sessionSuffix(sessionKey)))
  }

  async forgetUser (user: unknown): Promise<void> {
    const { assertionHash } = await this.#caller(user, undefined)
    await this.#engine.forget(`.${assertionHash}`)
  }

  diagnostics (): readonly TokenDiagnostics[] {
    return this.#engine.diagnostics()
  }

  async #getToken (caller: 'app' | 'user', scopes: readonly string[], acquireTokenOptions: AcquireTokenOptions = {}, user?: unknown): Promise<AcquireTokenResult> {
    const options = checkAcquireTokenOptions(acquireTokenOptions, 'acquireTokenOptions')
    const identity = identityOf(caller, { acquireTokenOptions: options }, 'The token')
    const prepared = await this.requestOf(this.plan(identity, scopes, options), user, undefined, () => acquireTokenOptions)
    return toResult(await this.acquire(prepared, options))
  }

  /**
   * The caller on whose behalf a call is made.
   *
   * @param user whom code names; `undefined` for the caller of the request
   * @param ofRequest the caller of the request that the call is bound to
   * @throws UserTokenRequiredError when there is none
   */
  #caller (user: unknown, ofRequest: Caller | undefined): Caller | Promise<Caller> {
    if (this.#findCaller === undefined) throw new UserTokenRequiredError('The call is made on behalf of the user, and callers are not validated: set the option inbound, or use a …ForApp method to call as the app')
    if (user !== undefined) return this.#findCaller(user)
    if (ofRequest === undefined) throw new UserTokenRequiredError('The call is made on behalf of the user, and there is no validated caller: protect the route with config.auth, give the user, or use a …ForApp method to call as the app')
    return ofRequest
  }

  async #requestOfSession (plan: SessionRequests, user: unknown, ofRequest: Caller | undefined, given: () => unknown): Promise<PreparedRequest> {
    const caller = user === undefined ? ofRequest : await this.#caller(user, ofRequest)
    return plan.of(caller, key => writeSessionKey(given(), key))
  }

  #onBehalfOfRequest (scopes: readonly string[], options: AcquireTokenOptions, userTenant: string): OnBehalfOfRequest {
    // Any caller's: each puts in their own.
    return { flow: 'onBehalfOf', userAssertion: '', ...this.#userRequest(scopes, options, userTenant) }
  }

  #userRequest (scopes: readonly string[], options: AcquireTokenOptions, userTenant: string): EntraRequest {
    const { authenticationOptionsName: section, tenant } = options
    const { app, authority } = authorityForUser(this.#configuration.app(section), section ?? DEFAULT_APP_SECTION, tenant, userTenant)
    return this.#entraRequest(app, authority, scopes, options)
  }

  #clientCredentialsRequest (scope: string, options: AcquireTokenOptions): ClientCredentialsRequest {
    const { app, authority } = authorityForApp(this.#configuration.app(options.authenticationOptionsName), options.authenticationOptionsName ?? DEFAULT_APP_SECTION, options.tenant)
    return { flow: 'clientCredentials', fmiPath: options.fmiPath, ...this.#entraRequest(app, authority, [scope], options) }
  }

  #entraRequest (app: AppConfiguration, authority: Authority, scopes: readonly string[], options: AcquireTokenOptions): EntraRequest {
    const { extraQueryParameters, clientCapabilities } = app
    return {
      app,
      authority,
      scopes: [...scopes],
      claims: options.claims,
      clientCapabilities,
      extraQueryParameters: mergeParameters(extraQueryParameters, options.extraQueryParameters),
      extraHeadersParameters: { ...options.extraHeadersParameters },
      correlationId: options.correlationId,
    }
  }

  #managedIdentityRequest (scope: string, options: AcquireTokenOptions): ManagedIdentityRequest {
    const managedIdentity: ManagedIdentityOptions = options.managedIdentity ?? {}
    const { authenticationOptionsName: section } = options
    const app = this.#configuration.app(section)
    if (app === undefined && section !== undefined) throw new NoAuthorityError(`There is no section "${section}", which AuthenticationOptionsName names: configure it, or leave the option out`)
    return {
      flow: 'managedIdentity',
      managedIdentity,
      workloadIdentity: workloadIdentity(managedIdentity, process.env, app?.knownAuthorities ?? []),
      resource: resourceOf(scope),
      scopes: [scope],
      claims: options.claims,
      clientCapabilities: app?.clientCapabilities ?? [],
      correlationId: options.correlationId,
    }
  }
}

/** An app token is for one resource: as in Microsoft.Identity.Web, the first scope names it. */
function appScope ([scope = '']: readonly string[]): string {
  requireDefaultScope(scope)
  return scope
}

function toResult ({ token, source }: AcquiredToken): AcquireTokenResult {
  const { accessToken, expiresOn, tenantId, scopes, correlationId, tokenType } = token
  return { accessToken, expiresOn: new Date(expiresOn), tenantId, scopes, correlationId, tokenType, tokenSource: source }
}
