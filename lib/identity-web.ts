import type { ApiConfiguration, Configuration } from './configuration/configuration.ts'
import type { ManagedIdentityOptions, TokenCacheOptions } from './configuration/schema.ts'
import type { Setup } from './configuration/setup.ts'
import { ClientCredentials } from './credentials/client-credentials.ts'
import type { CredentialServices } from './credentials/create-credential.ts'
import type { DownstreamApi } from './downstream/downstream-api.ts'
import { DownstreamClient, type DownstreamServices } from './downstream/downstream-client.ts'
import type { RouteApi } from './downstream/route-apis.ts'
import { identityForRoute } from './downstream/route-header.ts'
import { Transport } from './downstream/transport.ts'
import type { Caller } from './inbound/caller.ts'
import { Inbound } from './inbound/inbound.ts'
import type { Logger } from './logger.ts'
import { prewarm } from './prewarm.ts'
import { Sessions } from './sessions/sessions.ts'
import { TokenProvider } from './msal/token-provider.ts'
import { SharedTokens } from './store/shared-tokens.ts'
import { TokenCipher } from './store/token-cipher.ts'
import type { TokenStore } from './store/token-store.ts'
import { TokenHeaderProvider, type AuthorizationHeaderProvider, type HeaderContext } from './tokens/authorization-header-provider.ts'
import { endsWithin, systemClock, type Clock } from './tokens/clock.ts'
import { HeaderPlans } from './tokens/header-plans.ts'
import { ConfiguredTokenAcquirer, type TokenAcquirer } from './tokens/token-acquirer.ts'
import { TokenEngine } from './tokens/token-engine.ts'
import type { Token } from './tokens/token.ts'

/** What a request brings to the clients that are bound to it. */
export interface Binding {
  readonly logger: Logger
  readonly signal: () => AbortSignal
  readonly routeApis: ReadonlyMap<string, RouteApi>
  /** Who makes the request, where that has been validated. */
  readonly requestCaller: () => Caller | undefined
}

/** What the engine takes from the world around it; tests bring their own. */
export interface Surroundings {
  readonly clock?: Clock
  /** From 0 to 1. */
  readonly random?: () => number
}

type HeaderRules = Required<Pick<HeaderContext, 'identityFor' | 'plans'>>

/** The engine of one configuration: its clients, and what they share. */
export class IdentityWeb {
  readonly downstreamApi: DownstreamApi
  readonly authorizationHeaderProvider: AuthorizationHeaderProvider
  readonly tokenAcquirer: TokenAcquirer
  /** Callers, and how they are known; `undefined` where they are not validated. */
  readonly inbound: Inbound | undefined
  readonly #engine: TokenEngine
  readonly #credentials: ClientCredentials
  readonly #provider: TokenProvider
  readonly #headerRules = new WeakMap<Binding['routeApis'], HeaderRules>()
  readonly #services: DownstreamServices
  readonly #closed = new AbortController()
  readonly #prewarm: { readonly apis: boolean | readonly string[], readonly failure: 'fail' | 'warn', readonly clock: Clock, readonly logger: Logger }

  /**
   * @param configuration has been parsed
   * @param options have been parsed
   */
  constructor ({ configuration, options, inbound }: Setup, logger: Logger, { clock = systemClock, random = Math.random }: Surroundings = {}) {
    for (const warning of configuration.warnings) logger.warn({ configuration: warning }, 'configuration warning')
    const { tokenCache, tokenTimeout, identityDispatcher, dispatcher } = options
    const services = {
      clock,
      logger,
      managedIdentityToken: (...wanted: Parameters<CredentialServices['managedIdentityToken']>) => this.#managedIdentityToken(...wanted),
      closed: this.#closed.signal,
    }
    this.#credentials = new ClientCredentials({
      ...services,
      tokenTimeout,
      customSignedAssertionProviders: options.customSignedAssertionProviders ?? {},
      identityDispatcher: () => this.#provider.identityDispatcher(),
    })
    const shared = sharedStore(tokenCache)
    const sessions = new Sessions({ shared, maxEntries: tokenCache.maxEntries, clock, logger })
    this.#provider = new TokenProvider(clock, this.#credentials, sessions, identityDispatcher, logger)
    this.#engine = new TokenEngine({
      maxEntries: tokenCache.maxEntries,
      tokenTimeout,
      ask: this.#provider.ask,
      shared: shared && new SharedTokens({ ...shared, sharesManagedIdentities: tokenCache.storeManagedIdentities, clock, random, logger }),
      clock,
      random,
      logger,
    })
    this.inbound = inbound && new Inbound({ ...services, configuration: inbound, discovery: this.#provider.discovery, dispatcher: this.#provider.identityDispatcher, maxEntries: tokenCache.maxEntries })
    const acquirer = new ConfiguredTokenAcquirer({ configuration, engine: this.#engine, sessions, findCaller: this.inbound && (user => this.inbound!.callerNamed(user)), logger })
    this.#services = { configuration, acquirer, transport: new Transport(dispatcher), plans: new WeakMap() }
    this.#prewarm = { apis: options.prewarm, failure: options.prewarmFailure, clock, logger }
    this.tokenAcquirer = acquirer
    this.authorizationHeaderProvider = new TokenHeaderProvider(acquirer, { plans: new HeaderPlans(tokenCache.maxEntries) })
    this.downstreamApi = new DownstreamClient(this.#services, { logger })
  }

  /**
   * Acquires the tokens that the options want before the application is ready.
   *
   * @param limit milliseconds that it may take
   * @throws TokenAcquisitionError that names every token that could not be acquired, where the options say so
   */
  async prewarm (routeApis: readonly RouteApi[], limit: number): Promise<void> {
    const { configuration, acquirer, transport } = this.#services
    const { apis, ...options } = this.#prewarm
    if (apis !== false) await Promise.all([prewarm(configuration, routeApis, acquirer, { ...options, apis, limit }), transport.load()])
  }

  /**
   * Loads the certificates on this machine that calls as the app need, and tells in the log which of them cannot be used, or end soon. It never fails,
   * since what is not there may come.
   *
   * @param limit milliseconds that are waited for it
   */
  async loadCredentials (routeApis: readonly RouteApi[], limit: number): Promise<void> {
    const { configuration } = this.#services
    const apps = credentialUsers(configuration, routeApis).map(({ acquireTokenOptions }) => configuration.app(acquireTokenOptions.authenticationOptionsName))
    await endsWithin(this.#prewarm.clock, limit, this.#credentials.loadAhead(apps.filter(app => app !== undefined)))
  }

  /** A client for one request: with the identities of its route, until the request ends, and with its log. */
  downstreamApiFor (binding: Binding): DownstreamApi {
    return new DownstreamClient(this.#services, binding)
  }

  /** A header provider for one request. */
  authorizationHeaderProviderFor ({ routeApis, logger, signal, requestCaller }: Binding): AuthorizationHeaderProvider {
    return new TokenHeaderProvider(this.#services.acquirer, { logger, signal, requestCaller, ...this.#rulesOf(routeApis) })
  }

  /** Ends what is under way, closes what the engine opened, and forgets the tokens. */
  async close (): Promise<void> {
    this.#closed.abort(new Error('the application is closing'))
    await Promise.all([this.#engine.close(), this.#services.transport.close()])
    await this.#provider.close()
  }

  async #managedIdentityToken (scope: string, managedIdentity: ManagedIdentityOptions, signal: AbortSignal, forceRefresh?: boolean): Promise<Token> {
    const { acquirer } = this.#services
    const { token } = await acquirer.acquire(acquirer.prepare('managed-identity', [scope], { managedIdentity }), { signal, forceRefresh })
    return token
  }

  /** What the requests of one route share. */
  #rulesOf (routeApis: Binding['routeApis']): HeaderRules {
    const rules = this.#headerRules.get(routeApis) ?? { identityFor: identityForRoute(routeApis), plans: new HeaderPlans() }
    this.#headerRules.set(routeApis, rules)
    return rules
  }
}

/** The APIs that are called with a client credential, by their sections or by the routes. */
function credentialUsers ({ apis }: Configuration, routeApis: readonly RouteApi[]): ApiConfiguration[] {
  const ofSections = [...apis.values()].filter(api => api.scopes.length > 0 && api.acquireTokenOptions.managedIdentity === undefined)
  return [...ofSections, ...routeApis.filter(({ identity }) => identity === 'client-credential').map(({ api }) => api)]
}

/** The store that processes share, and what keeps it secret. */
function sharedStore ({ store, encryptionKeys }: TokenCacheOptions): { readonly store: TokenStore, readonly cipher: TokenCipher } | undefined {
  return store === undefined || encryptionKeys === undefined ? undefined : { store, cipher: new TokenCipher(encryptionKeys) }
}
