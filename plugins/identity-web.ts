import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { loadAppSettings } from '../lib/configuration/app-settings.ts'
import type { FastifyIdentityWebOptions, IdentityWebOptions } from '../lib/configuration/schema.ts'
import { setUp } from '../lib/configuration/setup.ts'
import type { DownstreamApi } from '../lib/downstream/downstream-api.ts'
import type { RouteApisOptions } from '../lib/downstream/route-apis.ts'
import { ConfigurationError } from '../lib/errors.ts'
import { IdentityWeb, type Binding } from '../lib/identity-web.ts'
import type { AuthorizationHeaderProvider } from '../lib/tokens/authorization-header-provider.ts'
import type { TokenAcquirer } from '../lib/tokens/token-acquirer.ts'
import type { RouteAuthOptions } from '../lib/inbound/route-access.ts'
import { callerOf, decorateCallers, sendChallenges } from './callers.ts'
import { clientGone } from './client-gone.ts'
import { noteSecurity } from './open-api.ts'
import { RouteDeclarations } from './route-declarations.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Calls the configured downstream APIs. */
    downstreamApi: DownstreamApi
    /** Gives `Authorization` headers for calls that are made with other clients. */
    authorizationHeaderProvider: AuthorizationHeaderProvider
    /** Gives access tokens. */
    tokenAcquirer: TokenAcquirer
  }
  interface FastifyRequest {
    /** Calls the configured downstream APIs with the identities that the route declares, until the request ends. */
    readonly downstreamApi: DownstreamApi
    /** Gives `Authorization` headers with the identities that the route declares. */
    readonly authorizationHeaderProvider: AuthorizationHeaderProvider
  }
  interface FastifyContextConfig {
    /** As whom this route calls which downstream API, and what differs from the API's section. */
    downstreamApi?: RouteApisOptions
    /** Who may call this route. Needs the option `inbound`. */
    auth?: RouteAuthOptions
  }
}

const kDownstreamApi = Symbol('fastify-identity-web.downstreamApi')
const kAuthorizationHeaderProvider = Symbol('fastify-identity-web.authorizationHeaderProvider')
const kReply = Symbol('fastify-identity-web.reply')

interface Bound extends FastifyRequest {
  [kDownstreamApi]?: DownstreamApi | undefined
  [kAuthorizationHeaderProvider]?: AuthorizationHeaderProvider | undefined
  [kReply]?: FastifyReply | undefined
}

/** Decorates the instance and its requests with the clients of one configuration. */
export async function identityWeb (fastify: FastifyInstance, pluginOptions: FastifyIdentityWebOptions): Promise<void> {
  const setup = setUp(pluginOptions, options => sourceOf(fastify, options))
  const identityWeb = new IdentityWeb(setup, fastify.log)
  const declarations = new RouteDeclarations(setup.configuration, setup.inbound)

  fastify.decorate('downstreamApi', identityWeb.downstreamApi)
  fastify.decorate('authorizationHeaderProvider', identityWeb.authorizationHeaderProvider)
  fastify.decorate('tokenAcquirer', identityWeb.tokenAcquirer)

  fastify.decorateRequest(kDownstreamApi)
  fastify.decorateRequest(kAuthorizationHeaderProvider)
  fastify.decorateRequest(kReply)
  fastify.decorateRequest('downstreamApi', {
    getter (this: FastifyRequest) {
      const bound = this as Bound
      return (bound[kDownstreamApi] ??= identityWeb.downstreamApiFor(bindingOf(this)))
    }
  })
  fastify.decorateRequest('authorizationHeaderProvider', {
    getter (this: FastifyRequest) {
      const bound = this as Bound
      return (bound[kAuthorizationHeaderProvider] ??= identityWeb.authorizationHeaderProviderFor(bindingOf(this)))
    }
  })

  fastify.addHook('onRoute', (route: RouteOptions) => {
    const { access } = declarations.check(route) ?? {}
    if (setup.inbound !== undefined && access !== undefined) noteSecurity(route, access, setup.inbound)
  })
  fastify.addHook('onReady', async () => {
    declarations.throwFaults()
    const limit = prewarmLimit(fastify)
    await Promise.all([identityWeb.loadCredentials(declarations.all, limit), identityWeb.prewarm(declarations.all, limit)])
  })
  const admit = identityWeb.inbound && decorateCallers(fastify, identityWeb.inbound, declarations)
  fastify.addHook('onRequest', (request, reply, done) => {
    const { access } = declarations.of(request.routeOptions.config);
    (request as Bound)[kReply] = reply
    if (admit === undefined) done()
    else admit(request, access, done)
  })
  sendChallenges(fastify)
  fastify.addHook('onClose', () => identityWeb.close())

  function bindingOf (request: FastifyRequest): Binding {
    let signal: AbortSignal | undefined
    return {
      logger: request.log,
      signal: () => (signal ??= clientGone((request as Bound)[kReply]!)),
      routeApis: declarations.of(request.routeOptions.config).apis,
      requestCaller: () => callerOf(request),
    }
  }
}

function sourceOf (fastify: FastifyInstance, { config, appSettings, azureAd, downstreamApis }: IdentityWebOptions): unknown {
  const source = config ?? appSettingsOf(appSettings) ?? (fastify as { config?: unknown }).config
  if (source === undefined && azureAd === undefined && downstreamApis === undefined) {
    throw new ConfigurationError(['there is no configuration: register a plugin that decorates fastify.config before this one, or set the option config or appSettings'])
  }
  return source
}

function appSettingsOf (appSettings: boolean | string | undefined): unknown {
  if (appSettings === undefined || appSettings === false) return undefined
  return loadAppSettings(appSettings === true ? {} : { path: appSettings })
}

/** Milliseconds: less than Fastify waits for a hook, so that the reason is told, and not that the time is up. */
function prewarmLimit ({ initialConfig: { pluginTimeout = 10_000 } }: FastifyInstance): number {
  return pluginTimeout === 0 ? 60_000 : pluginTimeout * 0.8
}
