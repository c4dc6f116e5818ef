import { existsSync } from 'node:fs'
import { pino } from 'pino'
import { loadAppSettings } from './configuration/app-settings.ts'
import { isSection } from './configuration/own-entries.ts'
import type { FastifyIdentityWebOptions, IdentityWebOptions } from './configuration/schema.ts'
import { setUp } from './configuration/setup.ts'
import type { DownstreamApi } from './downstream/downstream-api.ts'
import { IdentityWeb } from './identity-web.ts'
import type { Logger } from './logger.ts'
import type { AuthorizationHeaderProvider } from './tokens/authorization-header-provider.ts'
import type { TokenAcquirer } from './tokens/token-acquirer.ts'

export * from './public.ts'

/** Options of {@link TokenAcquirerFactory}: those of the plugin, and where the settings and the log lines are. */
export interface TokenAcquirerFactoryOptions extends Omit<FastifyIdentityWebOptions, 'appSettings' | 'prewarm' | 'prewarmFailure'> {
  /** `appsettings.json`, or its folder. Default: the working directory, where it may be missing when `azureAd` or `downstreamApis` hold options. Not read when `config` is given. */
  path?: string
  /** Where log lines go. Default: a pino logger on standard error, from level `warn` on. */
  logger?: Logger
}

let defaultInstance: TokenAcquirerFactory | undefined

/** The engine without a web server, for daemons, jobs and scripts. */
export class TokenAcquirerFactory {
  readonly downstreamApi: DownstreamApi
  readonly authorizationHeaderProvider: AuthorizationHeaderProvider
  readonly tokenAcquirer: TokenAcquirer
  readonly #identityWeb: IdentityWeb

  /** @throws ConfigurationError with every fault of the options and the settings */
  constructor ({ path, logger = pino({ name: 'fastify-identity-web', level: 'warn' }, pino.destination(2)), ...given }: TokenAcquirerFactoryOptions = {}) {
    const setup = setUp(given, options => sourceOf(path, options))

    this.#identityWeb = new IdentityWeb(setup, logger)
    this.#identityWeb.loadCredentials([], setup.options.tokenTimeout)
    this.downstreamApi = this.#identityWeb.downstreamApi
    this.authorizationHeaderProvider = this.#identityWeb.authorizationHeaderProvider
    this.tokenAcquirer = this.#identityWeb.tokenAcquirer
  }

  /**
   * The instance of this process, made from the `appsettings.json` of the working directory when it is first asked for.
   * With options, a new instance every time: keep it.
   */
  static getDefaultInstance (options?: TokenAcquirerFactoryOptions): TokenAcquirerFactory {
    return options === undefined ? (defaultInstance ??= new TokenAcquirerFactory()) : new TokenAcquirerFactory(options)
  }

  /** Ends what is under way, closes the connections, and forgets the tokens. */
  async close (): Promise<void> {
    if (defaultInstance === this) defaultInstance = undefined
    await this.#identityWeb.close()
  }
}

/** The settings; none when the options stand for them, and there is no file. */
function sourceOf (path: string | undefined, { config, azureAd, downstreamApis }: IdentityWebOptions): unknown {
  if (config !== undefined) return config
  const isInline = isSection(azureAd) || isSection(downstreamApis)
  if (path === undefined && isInline && !existsSync('appsettings.json')) return undefined
  return loadAppSettings(path === undefined ? {} : { path })
}
