import type { FastifyRequest, RouteOptions } from 'fastify'
import type { Configuration } from '../lib/configuration/configuration.ts'
import { parseRouteApis, type RouteApi } from '../lib/downstream/route-apis.ts'
import { collecting } from '../lib/configuration/collecting.ts'
import { ConfigurationError } from '../lib/errors.ts'

type RouteApis = ReadonlyMap<string, RouteApi>
type RouteConfig = Partial<FastifyRequest['routeOptions']['config']>
const nothingDeclared: RouteApis = new Map()

/** What the routes declare in `config.downstreamApi`: checked when they are registered, and looked up when they are called. */
export class RouteDeclarations {
  readonly #configuration: Configuration
  readonly #parsed = new WeakMap<object, RouteApis>()
  /** The URL at which a `config` was checked last, without the slash that Fastify adds to prefixes. */
  readonly #checked = new WeakMap<object, string>()
  readonly #faults: string[] = []
  readonly #all: RouteApi[] = []

  constructor (configuration: Configuration) {
    this.#configuration = configuration
  }

  /** Notes the faults of a route, so that all of them can be told at once. */
  check ({ method, url, config }: RouteOptions): void {
    // The HEAD route that Fastify adds to a GET route shares its config; so may other routes, each of which is told.
    const path = url.replace(/\/$/, '')
    if (config === undefined || (method === 'HEAD' && this.#checked.get(config) === path)) return
    this.#checked.set(config, path)

    const where = `route ${[method].flat().join(',')} ${url} config`
    if ('auth' in config) this.#faults.push(authFault(where))
    collecting(this.#faults, () => this.#parse(config, where))
  }

  /** @throws ConfigurationError when a route has a fault */
  throwFaults (): void {
    if (this.#faults.length > 0) throw new ConfigurationError(this.#faults)
  }

  /** Everything that was declared, in no order. */
  get all (): readonly RouteApi[] {
    return this.#all
  }

  /**
   * Refuses a request of a route that declares what does not hold. Fastify tells a plugin of the routes that come after it only:
   * those before are checked here.
   */
  requireSound (config: RouteConfig): void {
    const isOpen = !('auth' in config)
    if (isOpen && (config.downstreamApi === undefined || this.#parsed.has(config.downstreamApi))) return
    const where = `route ${[config.method].flat().join(',')} ${config.url} config`
    if (!isOpen) throw new ConfigurationError([authFault(where)])
    this.#parse(config, where)
  }

  /** What the route with this `config` declares; it has been found sound. */
  of (config: RouteConfig): RouteApis {
    return this.#parse(config, 'route config')
  }

  #parse ({ downstreamApi }: RouteConfig, where: string): RouteApis {
    if (downstreamApi === undefined) return nothingDeclared
    const known = this.#parsed.get(downstreamApi)
    if (known) return known

    const routeApis = parseRouteApis(downstreamApi, this.#configuration, `${where}.downstreamApi`)
    this.#parsed.set(downstreamApi, routeApis)
    this.#all.push(...routeApis.values())
    return routeApis
  }
}

function authFault (where: string): string {
  return `${where}.auth: needs inbound validation of the caller, which is not on`
}
