import * as v from 'valibot'
import { readOptions } from '../configuration/read-options.ts'
import { described, nonEmpty, scopeText } from '../configuration/value-schemas.ts'
import { ConfigurationError } from '../errors.ts'
import type { Caller, CallerKind } from './caller.ts'
import { accessDenied } from './refusals.ts'

/** `config.auth` of a route. */
export const routeAuthOptions = v.partial(v.strictObject({
  /** Scopes, one of which a user's token must have (`scp`). */
  scopes: described(v.pipe(v.array(scopeText), v.minLength(1, 'expected at least one; leave the key out if any will do')), 'Scopes, one of which a user\'s token must have (`scp`).'),
  /** App roles, one of which an app's token must have (`roles`); a user's too where `allow` is 'any'. */
  roles: described(v.pipe(v.array(nonEmpty), v.minLength(1, 'expected at least one; leave the key out if any will do')), 'App roles, one of which an app\'s token must have (`roles`). Roles of users count where `allow` is `any`.'),
  /** Who may call: users, apps, or both; 'any' lets roles of users count. Default: those for whom there are scopes or roles; without both, both. */
  allow: described(v.picklist(['user', 'app', 'any'], 'expected user, app or any'), 'Who may call. Default: users where there are `scopes`, apps where there are `roles`, and both where there is neither.'),
}))

/** Who may call a route. Without scopes and roles, everybody with a token that holds, as `allow` has it. */
export interface RouteAuthOptions extends v.InferInput<typeof routeAuthOptions> {}

/** Who may call a route, checked. */
export class RouteAccess {
  /** Everybody with a token that holds. */
  static readonly anybody = new RouteAccess()

  readonly scopes: readonly string[]
  readonly roles: readonly string[]
  readonly #allow: 'user' | 'app' | 'any' | undefined

  constructor ({ scopes = [], roles = [], allow }: v.InferOutput<typeof routeAuthOptions> = {}) {
    this.scopes = scopes
    this.roles = roles
    this.#allow = allow
  }

  /** Whether anybody of the kind may call. */
  admits (kind: CallerKind): boolean {
    const isOpen = this.scopes.length + this.roles.length === 0
    const isListed = kind === 'user' ? this.scopes.length > 0 || (this.roles.length > 0 && this.#allow === 'any') : this.roles.length > 0
    return (isOpen || isListed) && (this.#allow === undefined || this.#allow === 'any' || this.#allow === kind)
  }

  /** @throws ForbiddenError when the caller may not */
  require ({ kind, scopes, roles }: Pick<Caller, 'kind' | 'scopes' | 'roles'>): void {
    if (!this.admits(kind)) throw accessDenied(kind === 'user' ? 'the route is for apps, and the token is a user\'s' : 'the route is for users, and the token is an app\'s', this.scopes)
    if (this.scopes.length + this.roles.length === 0) return
    const rolesCount = kind === 'app' || this.#allow === 'any'
    if (kind === 'user' && hasOne(scopes, this.scopes)) return
    if (rolesCount && hasOne(roles, this.roles)) return
    throw accessDenied(kind === 'user' ? 'the token lacks the scope' : 'the token lacks the app role', kind === 'user' ? this.scopes : [])
  }
}

/**
 * What `config.auth` of a route says.
 *
 * @param where names the route in the faults
 * @throws ConfigurationError with every fault
 */
export function parseRouteAccess (auth: unknown, where: string): RouteAccess {
  const faults: string[] = []
  const options = readOptions(routeAuthOptions, auth, where, faults)
  if (options === undefined) throw new ConfigurationError(faults)
  const access = new RouteAccess(options)
  if (!access.admits('user') && !access.admits('app')) {
    throw new ConfigurationError([`${where}: nobody could call the route: ${options.allow === 'app' ? 'scopes are of users; give roles, or take allow out' : 'roles of users count only where allow is any'}`])
  }
  return access
}

function hasOne (given: readonly string[], wanted: readonly string[]): boolean {
  return wanted.some(item => given.includes(item))
}
