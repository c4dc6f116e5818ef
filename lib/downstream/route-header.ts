import { IdentityNotAllowedError } from '../errors.ts'
import type { CheckedOptions, HeaderContext } from '../tokens/authorization-header-provider.ts'
import { identityOf, type Caller } from '../tokens/identity.ts'
import { resourceOfScope } from '../tokens/scopes.ts'
import { sameAcquisition, type RouteApi } from './route-apis.ts'

type DeclaredApi = RouteApi & { readonly identity: NonNullable<RouteApi['identity']> }

/**
 * Holds the header provider of a request to what its route declares: a header for the resource of an API comes with the
 * identity that the route declares for that API.
 */
export function identityForRoute (routeApis: ReadonlyMap<string, RouteApi>): NonNullable<HeaderContext['identityFor']> {
  const declared = [...routeApis.values()].filter((routeApi): routeApi is DeclaredApi => routeApi.identity !== undefined)

  return (caller, scopes, options) => {
    const resources = scopes.map(resourceOfScope)
    const concerned = declared.filter(({ api }) => api.scopes.some(scope => resources.includes(resourceOfScope(scope))))
    const asked = options.acquireTokenOptions
    if (concerned.length === 0) return { identity: identityOf(caller, { requestAppToken: options.requestAppToken, acquireTokenOptions: asked }, 'The header'), acquireTokenOptions: asked }

    const allowed = concerned.find(routeApi => asksFor(caller, options, routeApi))
    if (allowed === undefined) {
      throw new IdentityNotAllowedError(`The route declares ${concerned.map(({ identity, api }) => `'${identity}' for ${api.name}`).join(' and ')}, and the header is asked for with another identity: change the call, or the route's config.downstreamApi`)
    }
    return { identity: allowed.identity, acquireTokenOptions: { ...allowed.api.acquireTokenOptions, ...asked } }
  }
}

/** Whether the method and the options leave, or name, what the route declares. */
function asksFor (caller: Caller, { requestAppToken, acquireTokenOptions }: CheckedOptions, { identity, api }: DeclaredApi): boolean {
  const asUser = identity === 'user'
  if (caller !== 'configured' && (caller === 'user') !== asUser) return false
  if (requestAppToken !== undefined && requestAppToken === asUser) return false
  return sameAcquisition(api.acquireTokenOptions, { ...api.acquireTokenOptions, ...acquireTokenOptions })
}
