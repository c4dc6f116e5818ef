import type { FastifyRequest, RouteOptions } from 'fastify'
import { collecting } from '../lib/configuration/collecting.ts'
import type { Configuration } from '../lib/configuration/configuration.ts'
import { parseRouteApis, type RouteApi } from '../lib/downstream/route-apis.ts'
import { ConfigurationError } from '../lib/errors.ts'
import type { InboundConfiguration } from '../lib/inbound/inbound-configuration.ts'
import { parseRouteAccess, RouteAccess } from '../lib/inbound/route-access.ts'

type RouteConfig = Partial<FastifyRequest['routeOptions']['config']>

/** What a route declares. */
export interface RouteDeclaration {
  /** As whom it calls which API, by service name. */
  readonly apis: ReadonlyMap<string, RouteApi>
  /** Who may call it; `undefined` where it is open. */
  readonly access: RouteAccess | undefined
}

const noApis: RouteDeclaration['apis'] = new Map()
const users = new RouteAccess({ allow: 'user' })

/** What the routes declare in `config.downstreamApi` and `config.auth`: checked when they are registered, and looked up when they are called. */
export class RouteDeclarations {
  readonly #configuration: Configuration
  readonly #inbound: InboundConfiguration | undefined
  /** By the `config` of a route, of which Fastify makes one of its own. */
  readonly #declarations = new WeakMap<object, RouteDeclaration>()
  /** By what stands in `config`, which routes may share. */
  readonly #apis = new WeakMap<object, RouteDeclaration['apis']>()
  readonly #access = new WeakMap<object, RouteAccess>()
  /** The URL at which a `config` was checked last, without the slash that Fastify adds to prefixes. */
  readonly #checked = new WeakMap<object, string>()
  readonly #faults: string[] = []
  readonly #all: RouteApi[] = []

  /** @param inbound `undefined` where callers are not validated */
  constructor (configuration: Configuration, inbound: InboundConfiguration | undefined) {
    this.#configuration = configuration
    this.#inbound = inbound
  }

  /**
   * Notes the faults of a route, so that all of them can be told at once.
   *
   * @returns what the route declares; `undefined` when it has a fault
   */
  check ({ method, url, config = {} }: RouteOptions): RouteDeclaration | undefined {
    const where = `route ${[method].flat().join(',')} ${url} config`
    // The HEAD route that Fastify adds to a GET route shares its config; so may other routes, each of which is told.
    const path = url.replace(/\/$/, '')
    const isTold = method === 'HEAD' && this.#checked.get(config) === path
    this.#checked.set(config, path)
    return collecting(isTold ? [] : this.#faults, () => this.#parse(config, where))
  }

  /** @throws ConfigurationError when a route has a fault */
  throwFaults (): void {
    if (this.#faults.length > 0) throw new ConfigurationError(this.#faults)
  }

  /** All APIs that were declared, in no order. */
  get all (): readonly RouteApi[] {
    return this.#all
  }

  /**
   * What the route with this `config` declares. Fastify tells a plugin of the routes that come after it only: those before are checked here.
   *
   * @throws ConfigurationError when it declares what does not hold
   */
  of (config: RouteConfig): RouteDeclaration {
    const known = this.#declarations.get(config)
    if (known !== undefined) return known
    const declaration = this.#parse(config, `route ${[config.method].flat().join(',')} ${config.url} config`)
    this.#declarations.set(config, declaration)
    return declaration
  }

  #parse (config: RouteConfig, where: string): RouteDeclaration {
    const faults: string[] = []
    const declared = collecting(faults, () => this.#parseAccess(config, where))
    const apis = collecting(faults, () => this.#parseApis(config, where))
    const access = declared ?? this.#default(apis)
    if (apis !== undefined && access?.admits('user') === false) {
      const [name] = [...apis].find(([, { identity }]) => identity === 'user') ?? []
      if (name !== undefined) faults.push(`${where}.downstreamApi.${name}.identity: 'user' needs a caller who is a user, and ${where}.auth lets none in`)
    }
    if (apis === undefined || faults.length > 0) throw new ConfigurationError(faults)
    return { apis, access }
  }

  #parseApis ({ downstreamApi }: RouteConfig, where: string): RouteDeclaration['apis'] {
    if (downstreamApi === undefined) return noApis
    const known = this.#apis.get(downstreamApi)
    if (known) return known

    const apis = parseRouteApis(downstreamApi, this.#configuration, `${where}.downstreamApi`, this.#inbound !== undefined)
    this.#apis.set(downstreamApi, apis)
    this.#all.push(...apis.values())
    return apis
  }

  #parseAccess (config: RouteConfig, where: string): RouteAccess | undefined {
    if (!('auth' in config)) return undefined
    const { auth } = config
    if (this.#inbound === undefined) throw new ConfigurationError([`${where}.auth: needs inbound validation of the caller, which is not on: set the option inbound`])
    const known = typeof auth === 'object' && auth !== null ? this.#access.get(auth) : undefined
    if (known) return known

    const access = parseRouteAccess(auth, `${where}.auth`)
    this.#access.set(auth as object, access)
    return access
  }

  /** A route that calls as the user needs one; the others are open, unless the options say otherwise. */
  #default (apis: RouteDeclaration['apis'] | undefined): RouteAccess | undefined {
    if (this.#inbound === undefined) return undefined
    if ([...apis?.values() ?? []].some(({ identity }) => identity === 'user')) return users
    return this.#inbound.requireByDefault ? RouteAccess.anybody : undefined
  }
}
