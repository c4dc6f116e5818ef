import type { Configuration } from './configuration/configuration.ts'
import type { IdentityWebOptions } from './configuration/schema.ts'
import type { DownstreamApi } from './downstream/downstream-api.ts'
import { DownstreamClient, type DownstreamServices } from './downstream/downstream-client.ts'
import type { RouteApi } from './downstream/route-apis.ts'
import { identityForRoute } from './downstream/route-header.ts'
import { Transport } from './downstream/transport.ts'
import type { Logger } from './logger.ts'
import { TokenHeaderProvider, type AuthorizationHeaderProvider } from './tokens/authorization-header-provider.ts'
import { ConfiguredTokenAcquirer, type TokenAcquirer } from './tokens/token-acquirer.ts'
import { TokenEngine } from './tokens/token-engine.ts'

/** What a request brings to the clients that are bound to it. */
export interface Binding {
  readonly logger: Logger
  readonly signal: () => AbortSignal
  readonly routeApis: ReadonlyMap<string, RouteApi>
}

/** The engine of one configuration: its clients, and what they share. */
export class IdentityWeb {
  readonly downstreamApi: DownstreamApi
  readonly authorizationHeaderProvider: AuthorizationHeaderProvider
  readonly tokenAcquirer: TokenAcquirer
  readonly #engine: TokenEngine
  readonly #services: DownstreamServices & { acquirer: ConfiguredTokenAcquirer }

  /**
   * @param configuration has been parsed
   * @param options have been parsed
   * @param now the clock, in milliseconds since the epoch
   */
  constructor (configuration: Configuration, options: IdentityWebOptions, logger: Logger, now: () => number = Date.now) {
    for (const warning of configuration.warnings) logger.warn(warning)
    this.#engine = new TokenEngine({
      maxEntries: options.tokenCache.maxEntries,
      tokenTimeout: options.tokenTimeout,
      identityDispatcher: options.identityDispatcher,
      now,
    })
    const acquirer = new ConfiguredTokenAcquirer(configuration, this.#engine, logger)
    this.#services = { configuration, acquirer, transport: new Transport(options.dispatcher) }
    this.tokenAcquirer = acquirer
    this.authorizationHeaderProvider = new TokenHeaderProvider(acquirer)
    this.downstreamApi = new DownstreamClient(this.#services, { logger })
  }

  /** A client for one request: with the identities of its route, until the request ends, and with its log. */
  downstreamApiFor (binding: Binding): DownstreamApi {
    return new DownstreamClient(this.#services, binding)
  }

  /** A header provider for one request. */
  authorizationHeaderProviderFor ({ routeApis, ...context }: Binding): AuthorizationHeaderProvider {
    return new TokenHeaderProvider(this.#services.acquirer, { ...context, identityFor: identityForRoute(routeApis) })
  }

  /** Ends what is under way, closes what the engine opened, and forgets the tokens. */
  async close (): Promise<void> {
    await Promise.all([this.#engine.close(), this.#services.transport.close()])
  }
}
