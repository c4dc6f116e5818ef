/** Where an app proves itself, and in which tenant. */
export interface AuthorityParts {
  readonly instance: string | undefined
  readonly tenantId: string | undefined
}

/**
 * `Authority` taken apart: scheme and host are the instance, the first segment of the path is the tenant.
 *
 * @param authority an absolute URL
 */
export function splitAuthority (authority: string): AuthorityParts {
  const { origin, hostname, pathname } = new URL(authority)
  const [first] = pathname.split('/').filter(Boolean)
  const tenantId = first === 'v2.0' ? undefined : first
  return { instance: `${origin}/`, tenantId: tenantId ?? tenantOfExternalId(hostname) }
}

/** The tenant that the host of Entra External ID is named after. */
function tenantOfExternalId (hostname: string): string | undefined {
  const [, name] = /^([a-z0-9-]+)\.ciamlogin\.com$/.exec(hostname) ?? []
  return name && `${name}.onmicrosoft.com`
}
