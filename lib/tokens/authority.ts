import { NoAuthorityError, TenantRequiredError } from '../errors.ts'
import { missingOf, type AppConfiguration } from '../configuration/configuration.ts'

/** Where an app proves itself, and as whom. */
export interface Authority {
  /** Absolute URL that ends in `/`, as in `https://login.microsoftonline.com/`. */
  readonly instance: string
  readonly tenantId: string
  readonly clientId: string
  readonly tokenEndpoint: string
}

const metaTenants = new Set(['common', 'organizations', 'consumers'])

/**
 * The authority that gives `app` a token for itself, in `tenant` or else in its own tenant.
 *
 * @throws NoAuthorityError when the section is missing or incomplete
 * @throws TenantRequiredError when no single tenant is named: an app has a token of its own in one tenant only
 */
export function authorityForApp (app: AppConfiguration | undefined, section: string, tenant: string | undefined): { app: AppConfiguration, authority: Authority } {
  if (app === undefined) {
    throw new NoAuthorityError(`A client credential is needed, and there is no section "${section}": configure it, or set AcquireTokenOptions.ManagedIdentity on the API`)
  }
  const { instance, clientId } = app
  const asked = tenant ?? app.tenantId
  const missing = missingOf({ ...app, tenantId: asked })
  if (missing.length > 0 || instance === undefined || clientId === undefined || asked === undefined) {
    throw new NoAuthorityError(`A client credential is needed, and the section "${app.name}" lacks ${missing.join(', ')}: complete it, or set AcquireTokenOptions.ManagedIdentity on the API`)
  }

  const tenantId = tenantForApp(app, asked.toLowerCase())
  return { app, authority: { instance, tenantId, clientId, tokenEndpoint: `${instance}${tenantId}/oauth2/v2.0/token` } }
}

/** The tenant that is asked, and the app's home where that is a meta-tenant. */
function tenantForApp (app: AppConfiguration, asked: string): string {
  if (!metaTenants.has(asked)) return asked

  const home = app.appHomeTenantId?.toLowerCase()
  if (home === undefined || metaTenants.has(home)) {
    throw new TenantRequiredError(`The section "${app.name}" names "${asked}", which is not a tenant, and an app token is issued by one tenant: set TenantId, AppHomeTenantId or AcquireTokenOptions.Tenant to a tenant's id or domain`)
  }
  return home
}
