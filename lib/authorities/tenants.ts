const metaTenants = new Set(['common', 'organizations', 'consumers'])
const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Whether the name stands for the tenants of many, in lower case: https://learn.microsoft.com/entra/identity-platform/v2-protocols#endpoints */
export function isMetaTenant (name: string): boolean {
  return metaTenants.has(name)
}

/** Whether the name is the id of a tenant, in lower case, rather than a domain of it. */
export function isTenantId (name: string): boolean {
  return guid.test(name)
}
