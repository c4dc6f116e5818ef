import type * as v from 'valibot'
import { azureAdOptions, keysWithoutEffect, unservedSourceTypes, type clientCredential } from './app-options.ts'
import { deepFreeze } from './freeze.ts'
import { findEntry, isSection } from './own-entries.ts'
import { readOptions } from './read-options.ts'
import { instanceFault } from './url-rules.ts'

/** A client credential as the section has it. */
export type ClientCredentialConfiguration = Readonly<v.InferOutput<typeof clientCredential>>

/** An app section, read and checked; frozen. Whether it is complete is for those who need it: {@link missingOf}. */
export interface AppConfiguration {
  /** The section's name as it is spelt. */
  readonly name: string
  /** Absolute URL that ends in `/`. */
  readonly instance: string | undefined
  readonly tenantId: string | undefined
  readonly clientId: string | undefined
  readonly clientCredentials: readonly ClientCredentialConfiguration[]
  readonly clientCapabilities: readonly string[]
  readonly appHomeTenantId: string | undefined
  readonly extraQueryParameters: Readonly<Record<string, string>>
  /** Whether the section says anything of an app: one that has only capabilities is for managed identities. */
  readonly isIdentity: boolean
}

/** What an app lacks to prove itself, by .NET's names. */
export function missingOf ({ instance, tenantId, clientId, clientCredentials }: AppConfiguration): string[] {
  const lacks = {
    Instance: instance === undefined,
    TenantId: tenantId === undefined,
    ClientId: clientId === undefined,
    ClientCredentials: !clientCredentials.some(({ skip }) => !skip),
  }
  return Object.entries(lacks).filter(([, isMissing]) => isMissing).map(([name]) => name)
}

/** The app section `name`; `undefined` when it has faults, which are added to `faults`. */
export function parseApp (name: string, section: unknown, faults: string[], warnings: string[]): AppConfiguration | undefined {
  const known = faults.length
  checkInstance(name, section, faults)
  const parsed = readOptions(azureAdOptions, served(name, section, faults), name, faults)
  if (parsed === undefined || faults.length > known) return undefined

  const ignored = keysWithoutEffect.filter(key => key in parsed)
  if (ignored.length > 0) warnings.push(`${name}: ${ignored.join(', ')} ${ignored.length === 1 ? 'has' : 'have'} no effect here`)
  const { instance, tenantId } = authorityOf(name, parsed, warnings)
  const { clientId, clientSecret, clientCredentials, clientCapabilities = [], appHomeTenantId, extraQueryParameters = {}, knownAuthorities = [] } = parsed
  const credentials = clientCredentials?.filter(credential => credential !== undefined)
  const fault = parsed.instance === undefined && instance !== undefined ? instanceFault(instance, knownAuthorities) : undefined
  if (fault !== undefined) {
    faults.push(`${name}.Authority: ${fault}`)
    return undefined
  }

  return deepFreeze({
    name,
    instance: instance && `${new URL(instance).href.replace(/\/+$/, '')}/`,
    tenantId,
    clientId,
    clientCredentials: credentials ?? (clientSecret === undefined ? [] : [{ sourceType: 'ClientSecret', clientSecret }]),
    clientCapabilities,
    appHomeTenantId,
    extraQueryParameters,
    isIdentity: [parsed.instance, tenantId, clientId, parsed.authority, clientCredentials, clientSecret].some(value => value !== undefined) || Object.keys(parsed).length === 0,
  })
}

/** Checked on the section as it is given, so that it is told together with all other faults. */
function checkInstance (name: string, section: unknown, faults: string[]): void {
  if (!isSection(section)) return
  const [key, instance] = findEntry(section, 'Instance') ?? []
  if (typeof instance !== 'string' || instance === '') return
  const fault = instanceFault(instance, [findEntry(section, 'KnownAuthorities')?.[1]].flat().map(String))
  if (fault !== undefined) faults.push(`${name}.${key}: ${fault}`)
}

/** The section without credentials that are skipped or that cannot be served; the latter are faults that name what to use. */
function served (name: string, section: unknown, faults: string[]): unknown {
  const [key, list] = isSection(section) ? findEntry(section, 'ClientCredentials') ?? [] : []
  const credentials = Array.isArray(list) ? list : isSection(list) ? Object.values(list) : undefined
  if (key === undefined || credentials === undefined) return section

  const kept = credentials.map((credential, index) => {
    if (!isSection(credential)) return credential
    const sourceType = String(findEntry(credential, 'SourceType')?.[1] ?? '')
    const isSkipped = /^true$/i.test(String(findEntry(credential, 'Skip')?.[1] ?? false))
    const [, instead] = findEntry(unservedSourceTypes as Record<string, unknown>, sourceType) ?? []
    if (instead === undefined) return credential
    if (!isSkipped) faults.push(`${name}.${key}[${index}].SourceType: ${sourceType} cannot be used here: ${String(instead)}`)
    return null
  })
  return { ...section as object, [key]: kept }
}

/** Instance and tenant: from their own keys, or else from `Authority`. */
function authorityOf (name: string, { instance, tenantId, authority }: v.InferOutput<typeof azureAdOptions>, warnings: string[]): { instance: string | undefined, tenantId: string | undefined } {
  if (authority === undefined) return { instance, tenantId }
  if (instance !== undefined || tenantId !== undefined) {
    warnings.push(`${name}.Authority: ignored, since Instance or TenantId is given`)
    return { instance, tenantId }
  }
  if (!URL.canParse(authority)) return { instance: authority, tenantId }

  warnings.push(`${name}.Authority: read as Instance and TenantId; give these instead`)
  const { origin, pathname, username, password } = new URL(authority)
  const [tenant] = pathname.split('/').filter(Boolean)
  // An authority with credentials in it is passed on whole, for the fault that it is.
  return { instance: username || password ? authority : `${origin}/`, tenantId: tenant === 'v2.0' ? undefined : tenant }
}
