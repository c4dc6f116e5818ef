import type * as v from 'valibot'
import { addressOf, hasPolicies, isAuthorityIgnored, type Address } from '../authorities/address.ts'
import { mergeParameters } from '../authorities/query-parameters.ts'
import { hasRegions } from '../authorities/region.ts'
import { azureAdOptions, keysWithoutEffect } from './app-options.ts'
import type { clientCredential, tokenDecryptionCredential } from './client-credential-options.ts'
import { deepFreeze } from './freeze.ts'
import { readOptions } from './read-options.ts'
import { inStyleOf } from './suggestion.ts'

type AppOptions = v.InferOutput<typeof azureAdOptions>

/** A client credential as the section has it; told apart by `sourceType`. */
export type ClientCredentialConfiguration = Readonly<v.InferOutput<typeof clientCredential>>

/** What tokens are decrypted with, as the section has it. */
export type TokenDecryptionCredentialConfiguration = Readonly<v.InferOutput<typeof tokenDecryptionCredential>>
/** A credential that is a certificate. */
export type CertificateCredentialConfiguration = Extract<ClientCredentialConfiguration, { readonly sourceType: 'Path' | 'Base64Encoded' | 'KeyVault' }>

/** An app section, read and checked; frozen. Whether it is complete is for those who need it: {@link missingOf}. */
export interface AppConfiguration {
  /** The section's name as it is spelt. */
  readonly name: string
  /** Absolute URL that ends in one `/`. */
  readonly instance: string | undefined
  readonly tenantId: string | undefined
  readonly clientId: string | undefined
  /** In the order of the section, those that are skipped included. */
  readonly clientCredentials: readonly ClientCredentialConfiguration[]
  readonly clientCapabilities: readonly string[]
  readonly knownAuthorities: readonly string[]
  readonly appHomeTenantId: string | undefined
  /** In lower case and without spaces; `undefined` where the authority has no regions. */
  readonly azureRegion: string | undefined
  readonly sendX5C: boolean
  /** The policy of Azure AD B2C; `undefined` where the authority has no policies. */
  readonly policy: string | undefined
  /** Whether the authority is asked for its endpoints before the first token. */
  readonly isDiscovered: boolean
  readonly extraQueryParameters: Readonly<Record<string, string>>
  readonly audiences: readonly string[]
  readonly tokenDecryptionCredentials: readonly TokenDecryptionCredentialConfiguration[]
  /** Whether the section says anything of an app: one that has only capabilities is for managed identities. */
  readonly isIdentity: boolean
}

/** What an app lacks to prove itself, by .NET's names. */
export function missingOf ({ instance, tenantId, clientId, clientCredentials }: Pick<AppConfiguration, 'instance' | 'tenantId' | 'clientId' | 'clientCredentials'>): string[] {
  const lacks = {
    Instance: instance === undefined,
    TenantId: tenantId === undefined,
    ClientId: clientId === undefined,
    ClientCredentials: !clientCredentials.some(({ skip }) => !skip),
  }
  return Object.entries(lacks).filter(([, isMissing]) => isMissing).map(([name]) => name)
}

/**
 * The app section `name`; `undefined` when it has faults, which are added to `faults`.
 *
 * @param where path of the section, for the faults
 */
export function parseApp (name: string, where: string, section: unknown, faults: string[], warnings: string[]): AppConfiguration | undefined {
  const options = readOptions(azureAdOptions, section, where, faults, { jsonText: true })
  if (options === undefined) return undefined

  const { query, ...address } = addressOf(options)
  warnings.push(...warningsOf(options, address, name).map(warning => `${where}${warning}`))
  const { clientId, audience, audiences = [] } = options
  return deepFreeze({
    name,
    ...address,
    clientId,
    clientCredentials: credentialsOf(options),
    clientCapabilities: options.clientCapabilities ?? [],
    knownAuthorities: options.knownAuthorities ?? [],
    appHomeTenantId: options.appHomeTenantId,
    azureRegion: address.instance !== undefined && hasRegions(address.instance) ? options.azureRegion : undefined,
    sendX5C: options.sendX5C ?? false,
    extraQueryParameters: mergeParameters(query, options.extraQueryParameters),
    audiences: [...new Set(audience === undefined ? audiences : [audience, ...audiences])],
    tokenDecryptionCredentials: options.tokenDecryptionCredentials ?? [],
    isIdentity: isIdentity(options),
  })
}

/** The credentials of the list, or else those of older configurations, in .NET's order. */
function credentialsOf ({ clientCredentials = [], clientCredentialsUsingManagedIdentity: { isEnabled, ...identity } = {}, clientCertificates = [], clientSecret }: AppOptions): ClientCredentialConfiguration[] {
  if (clientCredentials.length > 0) return clientCredentials
  return [
    ...isEnabled ? [{ sourceType: 'SignedAssertionFromManagedIdentity' as const, ...identity }] : [],
    ...clientCertificates,
    ...clientSecret !== undefined ? [{ sourceType: 'ClientSecret' as const, clientSecret }] : [],
  ]
}

function isIdentity (options: AppOptions): boolean {
  const { instance, tenantId, clientId, authority, clientCredentials, clientCredentialsUsingManagedIdentity, clientCertificates, clientSecret } = options
  return [instance, tenantId, clientId, authority, clientCredentials, clientCredentialsUsingManagedIdentity, clientCertificates, clientSecret].some(value => value !== undefined) || Object.keys(options).length === 0
}

/** What is read but does not do what it says; each to be put behind the section's path. */
function warningsOf (options: AppOptions, { instance }: Pick<Address, 'instance'>, name: string): string[] {
  const { azureRegion, signUpSignInPolicyId, clientCredentials = [] } = options
  const idle = keysWithoutEffect.filter(key => key in options).map(key => inStyleOf(name, key))
  return [
    ...idle.length > 0 ? [`: ${idle.join(', ')} ${idle.length === 1 ? 'has' : 'have'} no effect here`] : [],
    ...isAuthorityIgnored(options) ? [`.${inStyleOf(name, 'authority')}: ignored, since Instance or TenantId is given`] : [],
    ...azureRegion !== undefined && instance !== undefined && !hasRegions(instance) ? [`.${inStyleOf(name, 'azureRegion')}: has no effect, since the authority has no regional endpoints`] : [],
    ...signUpSignInPolicyId !== undefined && instance !== undefined && !hasPolicies({ instance }) ? [`.${inStyleOf(name, 'signUpSignInPolicyId')}: has no effect, since only Azure AD B2C has policies`] : [],
    ...clientCredentials.length > 0 ? (['clientCredentialsUsingManagedIdentity', 'clientCertificates', 'clientSecret'] as const).filter(key => options[key] !== undefined).map(key => `.${inStyleOf(name, key)}: ignored, since ClientCredentials is given`) : [],
  ]
}
