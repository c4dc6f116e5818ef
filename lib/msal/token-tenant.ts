import { isTenantId } from '../authorities/tenants.ts'
import { unverifiedClaims } from '../jwt-claims.ts'

/**
 * Holds a token to the tenant that was asked, as far as it can be read: a token of another tenant is nobody's here.
 *
 * Access tokens are for the API to read; one that is encrypted, or no JWT at all, says nothing.
 *
 * @param tenantId id or domain name of the tenant
 * @throws Error when the token is another tenant's
 */
export function requireTenantOfToken (accessToken: string, tenantId: string): void {
  if (!isTenantId(tenantId)) return
  const tid = unverifiedClaims(accessToken)?.['tid']
  if (typeof tid === 'string' && tid.toLowerCase() !== tenantId) throw new Error('the token is of another tenant than the one that was asked')
}
