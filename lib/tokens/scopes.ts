import { ConfigurationError, ScopeNotDefaultError } from '../errors.ts'

const suffix = '/.default'
// RFC 6749 section 3.3: any printable ASCII character but the quotation mark and the backslash.
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/**
 * Checks that an app can ask for `scope`: an app is given what was granted to it as a whole, which is `<resource>/.default`.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/scopes-oidc#the-default-scope
 */
export function requireDefaultScope (scope: string): void {
  if (scope === '') throw new ConfigurationError(['scopes: a token is asked for, and there is no scope: configure Scopes, or pass "<App ID URI of the API>/.default"'])
  if (typeof scope !== 'string' || !scopeToken.test(scope)) throw new ConfigurationError(['scopes: a scope is one word of printable characters, without quotation marks and backslashes'])
  if (!scope.toLowerCase().endsWith(suffix) || scope.length === suffix.length) {
    throw new ScopeNotDefaultError(`An app token is asked for with a scope that ends in "${suffix}", and "${scope}" does not: use "<App ID URI of the API>${suffix}"`)
  }
}

/**
 * The resource that a `/.default` scope stands for: what a managed identity endpoint is asked for.
 *
 * @param scope has passed {@link requireDefaultScope}
 */
export function resourceOf (scope: string): string {
  return scope.slice(0, -suffix.length)
}

/**
 * The resource that any scope belongs to: all before its last segment, as in `todo` of `api://todo/Todo.Read`; the whole of a scope
 * without segments. `api://<client id>` and `<client id>` are the same resource.
 */
export function resourceOfScope (scope: string): string {
  return scope.slice(0, Math.max(scope.lastIndexOf('/'), 0) || scope.length).toLowerCase().replace(/^api:\/\/|\/+$/g, '')
}
