import { isOfCustomers } from '../authorities/hosts.ts'
import type { DescribedAuthority } from '../authorities/openid-configuration.ts'
import { isMetaTenant, isTenantId } from '../authorities/tenants.ts'
import { missingOf, type AppConfiguration } from '../configuration/configuration.ts'
import { inboundDefaults, type ParsedInboundOptions } from '../configuration/inbound-options.ts'
import { ConfigurationError } from '../errors.ts'

/** The tenants whose tokens are taken: those listed, any but personal accounts, or the authority's own, whose id its OpenID configuration tells. */
export type Tenants = ReadonlySet<string> | 'any' | 'own'

/** Which callers are let in; frozen. */
export interface InboundConfiguration {
  readonly app: AppConfiguration
  /** Whose keys sign the tokens. */
  readonly authority: DescribedAuthority
  readonly audiences: ReadonlySet<string>
  readonly tenants: Tenants
  /** Client ids of the apps that may call; `undefined` for any. */
  readonly clients: ReadonlySet<string> | undefined
  readonly publicClients: boolean
  /** Seconds. */
  readonly clockTolerance: number
  readonly requireByDefault: boolean
}

/** The tenant of personal Microsoft accounts: https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference */
export const PERSONAL_ACCOUNTS = '9188040d-6c67-4c5b-b112-36a304b66dad'

/**
 * Who is let in, by the options and the app section.
 *
 * @param app the section that the options leave the rest to
 * @throws ConfigurationError with every fault
 */
export function inboundConfiguration (options: ParsedInboundOptions, app: AppConfiguration | undefined): InboundConfiguration {
  if (app === undefined || !app.isIdentity) throw new ConfigurationError(['options.inbound: there is no app section, which says whose tokens are taken: configure AzureAd, or set the option azureAd'])
  const audiences = options.audiences ?? audiencesOf(app)
  const missing = missingOf(app).filter(key => key === 'Instance' || key === 'TenantId' || (key === 'ClientId' && audiences.length === 0))
  const faults = missing.map(key => `${app.name}.${key}: is missing, and options.inbound needs it`)
  const fault = app.tenantId === undefined ? undefined : tenantFault(app, options.tenants)
  if (fault !== undefined) faults.push(fault)
  if (faults.length > 0) throw new ConfigurationError(faults)

  const { instance, policy } = app
  const { tenants, keysOf } = tenantsOf(app as AppConfiguration & { readonly instance: string, readonly tenantId: string }, options.tenants)
  const { publicClients, clockTolerance, requireByDefault } = { ...inboundDefaults, ...options } as ParsedInboundOptions & typeof inboundDefaults
  return Object.freeze({
    app,
    authority: { instance: instance!, tenantId: keysOf, policy },
    audiences: new Set(audiences),
    tenants,
    clients: options.clients && new Set(options.clients.map(client => client.toLowerCase())),
    publicClients,
    clockTolerance,
    requireByDefault,
  })
}

/** Entra ID puts the client id into tokens of version 2.0, and the App ID URI into those of version 1.0; it writes ids in lower case. */
function audiencesOf ({ audiences, clientId }: AppConfiguration): readonly string[] {
  if (audiences.length > 0 || clientId === undefined) return audiences
  const written = isTenantId(clientId.toLowerCase()) ? clientId.toLowerCase() : clientId
  return [written, `api://${written}`]
}

function tenantFault ({ name, tenantId }: AppConfiguration, wanted: readonly string[] | undefined): string | undefined {
  if (wanted !== undefined || !isMetaTenant(tenantId!.toLowerCase())) return undefined
  return `options.inbound.tenants: is missing: ${name}.TenantId is "${tenantId}", so that tokens of anybody's tenant could be meant; list the tenants that may call, or say any`
}

function tenantsOf ({ instance, tenantId, policy }: AppConfiguration & { readonly instance: string, readonly tenantId: string }, wanted: readonly string[] | undefined): { tenants: Tenants, keysOf: string } {
  const own = tenantId.toLowerCase()
  const listed = wanted ?? (isTenantId(own) ? [own] : undefined)
  const tenants = listed === undefined ? 'own' : listed.includes('any') ? 'any' : new Set(listed)
  const isOfOneTenant = policy !== undefined || isOfCustomers(new URL(instance).host)
  if (isOfOneTenant || listed === undefined) return { tenants, keysOf: own }
  const [only, ...others] = new Set(listed)
  if (tenants !== 'any' && others.length === 0) return { tenants, keysOf: only! }
  return { tenants, keysOf: listed.includes(PERSONAL_ACCOUNTS) ? 'common' : 'organizations' }
}
