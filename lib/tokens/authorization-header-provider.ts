import type { AcquireTokenOptions } from '../configuration/schema.ts'
import { checkAuthorizationHeaderOptions } from '../configuration/override.ts'
import type { Caller as RequestCaller } from '../inbound/caller.ts'
import type { Logger } from '../logger.ts'
import { HeaderPlans } from './header-plans.ts'
import { identityOf, type Caller, type Identity, type IdentityOptions } from './identity.ts'
import type { AcquiredToken, ConfiguredTokenAcquirer, TokenPlan } from './token-acquirer.ts'
import type { TokenSource } from './token.ts'

/** How a header is wanted. */
export interface AuthorizationHeaderProviderOptions {
  acquireTokenOptions?: AcquireTokenOptions
  /** Whether `createAuthorizationHeader` asks as the app rather than on behalf of the caller. Default: false. */
  requestAppToken?: boolean
}

/** A header, and what is known of the token in it. */
export interface AuthorizationHeaderInformation {
  readonly authorizationHeader: string
  readonly tokenSource: TokenSource
  readonly expiresOn: Date
  /** When the identity provider wants the token renewed; `undefined` when it did not say. */
  readonly refreshOn: Date | undefined
  readonly identity: Identity
}

/** Gives the value of the `Authorization` header, as in `Bearer eyJ…`, for calls that are made with other clients. */
export interface AuthorizationHeaderProvider {
  /** As the app: with its managed identity where `options.acquireTokenOptions.managedIdentity` is set, else with its client credential. */
  createAuthorizationHeaderForApp (scope: string, options?: AuthorizationHeaderProviderOptions): Promise<string>
  /** On behalf of the caller. */
  createAuthorizationHeaderForUser (scopes: string | readonly string[], options?: AuthorizationHeaderProviderOptions, user?: unknown): Promise<string>
  /** As the app where `options` has `requestAppToken` or a managed identity, else on behalf of the caller. */
  createAuthorizationHeader (scopes: string | readonly string[], options?: AuthorizationHeaderProviderOptions, user?: unknown): Promise<string>
  /** Like {@link createAuthorizationHeaderForApp}, with what is known of the token. */
  createAuthorizationHeaderInformationForApp (scope: string, options?: AuthorizationHeaderProviderOptions): Promise<AuthorizationHeaderInformation>
  /** Like {@link createAuthorizationHeaderForUser}, with what is known of the token. */
  createAuthorizationHeaderInformationForUser (scopes: string | readonly string[], options?: AuthorizationHeaderProviderOptions, user?: unknown): Promise<AuthorizationHeaderInformation>
  /** Like {@link createAuthorizationHeader}, with what is known of the token. */
  createAuthorizationHeaderInformation (scopes: string | readonly string[], options?: AuthorizationHeaderProviderOptions, user?: unknown): Promise<AuthorizationHeaderInformation>
}

/** The options as the provider has checked them. */
export type CheckedOptions = AuthorizationHeaderProviderOptions & { readonly acquireTokenOptions: AcquireTokenOptions }

/** What a provider is bound to; a request binds its own. */
export interface HeaderContext {
  readonly logger?: Logger
  readonly signal?: () => AbortSignal
  /** On whose behalf headers are, where nobody else is named. */
  readonly requestCaller?: () => RequestCaller | undefined
  /** What was asked for before under the same {@link identityFor}. */
  readonly plans?: HeaderPlans
  /** What the route allows for these scopes: it may fill the options in, or refuse. */
  readonly identityFor?: (caller: Caller, scopes: readonly string[], options: CheckedOptions) => { identity: Identity, acquireTokenOptions: AcquireTokenOptions }
}

/** The provider over the token acquirer. */
export class TokenHeaderProvider implements AuthorizationHeaderProvider {
  readonly #acquirer: ConfiguredTokenAcquirer
  readonly #context: HeaderContext
  readonly #plans: HeaderPlans

  constructor (acquirer: ConfiguredTokenAcquirer, context: HeaderContext = {}) {
    this.#acquirer = acquirer
    this.#context = context
    this.#plans = context.plans ?? new HeaderPlans()
  }

  createAuthorizationHeaderForApp (scope: string, options?: AuthorizationHeaderProviderOptions): Promise<string> {
    return this.#header('app', scope, options)
  }

  createAuthorizationHeaderForUser (scopes: string | readonly string[], options?: AuthorizationHeaderProviderOptions, user?: unknown): Promise<string> {
    return this.#header('user', scopes, options, user)
  }

  createAuthorizationHeader (scopes: string | readonly string[], options?: AuthorizationHeaderProviderOptions, user?: unknown): Promise<string> {
    return this.#header('configured', scopes, options, user)
  }

  async createAuthorizationHeaderInformationForApp (scope: string, options?: AuthorizationHeaderProviderOptions): Promise<AuthorizationHeaderInformation> {
    return toInformation(this.#acquire('app', scope, options))
  }

  async createAuthorizationHeaderInformationForUser (scopes: string | readonly string[], options?: AuthorizationHeaderProviderOptions, user?: unknown): Promise<AuthorizationHeaderInformation> {
    return toInformation(this.#acquire('user', scopes, options, user))
  }

  async createAuthorizationHeaderInformation (scopes: string | readonly string[], options?: AuthorizationHeaderProviderOptions, user?: unknown): Promise<AuthorizationHeaderInformation> {
    return toInformation(this.#acquire('configured', scopes, options, user))
  }

  async #header (caller: Caller, scope: string | readonly string[], options: AuthorizationHeaderProviderOptions | undefined, user?: unknown): Promise<string> {
    const known = this.#plans.get(caller, scope, options)
    const prepared = known && this.#acquirer.requestOf(known, user, this.#context.requestCaller?.(), () => options)
    const token = (prepared && this.#acquirer.atHand(prepared instanceof Promise ? await prepared : prepared)) ?? (await this.#acquire(caller, scope, options, user, known)).token
    return token.authorizationHeader
  }

  async #acquire (caller: Caller, scope: string | readonly string[], given: AuthorizationHeaderProviderOptions | undefined, user?: unknown, known?: TokenPlan): Promise<AcquiredToken> {
    const { logger, signal, requestCaller, identityFor = byOptions } = this.#context
    const scopes = [scope].flat()
    const options = checkAuthorizationHeaderOptions(given ?? {}, 'options')
    const { identity, acquireTokenOptions } = identityFor(caller, scopes, { ...options, acquireTokenOptions: options.acquireTokenOptions ?? {} })
    const { forceRefresh, signal: ofOptions } = acquireTokenOptions
    const plan = known ?? this.#acquirer.plan(identity, scopes, acquireTokenOptions)
    const isPlain = !forceRefresh && acquireTokenOptions.claims === undefined && acquireTokenOptions.longRunningWebApiSessionKey === undefined && ofOptions === undefined
    if (isPlain && known === undefined) this.#plans.set(caller, scope, given, plan)
    const prepared = await this.#acquirer.requestOf(plan, user, requestCaller?.(), () => given)

    const signals = [ofOptions, signal?.()].filter(signal => signal !== undefined)
    return this.#acquirer.acquire(prepared, { forceRefresh, signal: signals.length > 1 ? AbortSignal.any(signals) : signals[0], logger })
  }
}

function byOptions (caller: Caller, _scopes: readonly string[], options: CheckedOptions): { identity: Identity, acquireTokenOptions: AcquireTokenOptions } {
  return { identity: identityOf(caller, options as IdentityOptions, 'The header'), acquireTokenOptions: options.acquireTokenOptions }
}

async function toInformation (acquired: Promise<AcquiredToken>): Promise<AuthorizationHeaderInformation> {
  const { token, source, identity } = await acquired
  return {
    authorizationHeader: token.authorizationHeader,
    tokenSource: source,
    expiresOn: new Date(token.expiresOn),
    refreshOn: token.refreshOn === undefined ? undefined : new Date(token.refreshOn),
    identity,
  }
}
