import { NoAuthorityError, TenantRequiredError } from '../errors.ts'
import { missingOf, type AppConfiguration } from '../configuration/configuration.ts'
import { hostKind } from './hosts.ts'
import { isMetaTenant } from './tenants.ts'

/** Where an app proves itself, and as whom. */
export interface Authority {
  /** Absolute URL that ends in `/`, as in `https://login.microsoftonline.com/`. */
  readonly instance: string
  readonly tenantId: string
  /** The user flow or custom policy of Azure AD B2C. */
  readonly policy: string | undefined
  readonly clientId: string
  /** Where tokens are asked for, as it follows from the above. */
  readonly tokenEndpoint: string
  /** Whether the authority is asked for its endpoints first. */
  readonly isDiscovered: boolean
  /** The region whose endpoint gives app tokens; `undefined` for the global one. */
  readonly region: string | undefined
}

/** The URL below which the authority has its endpoints; ends in `/`. */
export function authorityUrl ({ instance, tenantId, policy }: Pick<Authority, 'instance' | 'tenantId' | 'policy'>): string {
  return `${instance}${tenantId}/${policy === undefined ? '' : `${policy}/`}`
}

/**
 * The authority that gives `app` a token for itself, in `tenant` or else in its own tenant.
 *
 * @param section name of the app section that is meant, for messages
 * @throws NoAuthorityError when the section is missing or incomplete
 * @throws TenantRequiredError when no single tenant is named: an app has a token of its own in one tenant only
 */
export function authorityForApp (app: AppConfiguration | undefined, section: string, tenant: string | undefined): { app: AppConfiguration, authority: Authority } {
  return authorityIn(app, section, tenant, tenantForApp)
}

/**
 * The authority that gives `app` a token on behalf of a user, in `tenant` or else where the user's own token is from.
 *
 * @param userTenant `tid` of the user's token
 * @throws NoAuthorityError when the section is missing or incomplete
 */
export function authorityForUser (app: AppConfiguration | undefined, section: string, tenant: string | undefined, userTenant: string): { app: AppConfiguration, authority: Authority } {
  return authorityIn(app, section, tenant ?? userTenant, (_, asked) => isMetaTenant(asked) ? userTenant.toLowerCase() : asked)
}

function authorityIn (given: AppConfiguration | undefined, section: string, tenant: string | undefined, choose: (app: AppConfiguration, asked: string) => string): { app: AppConfiguration, authority: Authority } {
  if (given === undefined) {
    throw new NoAuthorityError(`A client credential is needed, and there is no section "${section}": configure it, or set AcquireTokenOptions.ManagedIdentity on the API`)
  }
  const { instance, clientId, policy, isDiscovered, azureRegion: region } = given
  const asked = instance !== undefined && isOneTenant(instance) ? given.tenantId : tenant ?? given.tenantId
  const missing = missingOf({ ...given, tenantId: asked })
  if (missing.length > 0 || instance === undefined || clientId === undefined || asked === undefined) {
    throw new NoAuthorityError(`A client credential is needed, and the section "${given.name}" lacks ${missing.join(', ')}: complete it, or set AcquireTokenOptions.ManagedIdentity on the API`)
  }

  const tenantId = choose(given, asked.toLowerCase())
  return { app: given, authority: { instance, tenantId, policy, clientId, tokenEndpoint: `${authorityUrl({ instance, tenantId, policy })}oauth2/v2.0/token`, isDiscovered, region } }
}

/** External ID has one tenant for each host; as in .NET, a call cannot name another. */
function isOneTenant (instance: string): boolean {
  return hostKind(new URL(instance).host) === 'external-id'
}

/** The tenant that is asked, and the app's home where that is a meta-tenant. */
function tenantForApp (app: AppConfiguration, asked: string): string {
  if (!isMetaTenant(asked)) return asked

  const home = app.appHomeTenantId?.toLowerCase()
  if (home === undefined || isMetaTenant(home)) {
    throw new TenantRequiredError(`The section "${app.name}" names "${asked}", which is not a tenant, and an app token is issued by one tenant: set TenantId, AppHomeTenantId or AcquireTokenOptions.Tenant to a tenant's id or domain`)
  }
  return home
}
