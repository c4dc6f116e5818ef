import { createHash, randomUUID, type X509Certificate } from 'node:crypto'
import * as v from 'valibot'
import { guidText as guid } from '../configuration/value-schemas.ts'
import { federatedCredentialSchema, type FederatedCredential } from './federated-credential.ts'
import { certificateSchema, encryptionCertificateSchema, type RegisteredCertificate } from './registered-certificate.ts'

const roles = v.record(v.string(), v.array(v.string()))
const secret = v.union([v.string(), v.strictObject({ value: v.string(), expiresOn: v.date() })], 'expected text, or { value, expiresOn }')
const texts = v.union([v.string(), v.array(v.string())], 'expected text, or a list of texts')

const appRegistration = v.strictObject({
  /** Client id (application id). */
  clientId: guid,
  /** Tenant that the app is registered in. */
  tenantId: guid,
  /** Object id of its service principal. Default: a new one. */
  objectId: v.optional(guid),
  /** Its client secrets; one with `expiresOn` is refused from then on. */
  secrets: v.optional(v.array(secret)),
  /** Its certificates: PEM, `{ thumbprint, revoked? }`, or `{ subjectName, issuer }`. */
  certificates: v.optional(v.array(certificateSchema)),
  /** Whose tokens it may prove itself with. */
  federatedCredentials: v.optional(v.array(federatedCredentialSchema)),
  /** What it offers as an API, beside `api://<clientId>` and `<clientId>`. */
  exposes: v.optional(v.union([v.string(), v.array(v.string()), v.strictObject({ appIdUri: v.optional(texts), roles: v.optional(v.array(v.string())), scopes: v.optional(v.array(v.string())) })], 'expected App ID URIs, or { appIdUri?, roles?, scopes? }')),
  /** App roles that it was given: role values by the API's App ID URI or client id. */
  appRoleAssignments: v.optional(roles),
  /** Certificate (PEM) that the tokens for it as an API are encrypted for. Default: they are not encrypted. */
  tokenEncryptionCertificate: v.optional(encryptionCertificateSchema),
})

const certificateReplacement = v.strictObject({
  /** Tenant of the app. Default: any that it is registered in. */
  tenantId: v.optional(guid),
  clientId: guid,
  /** The certificates that it has from now on. */
  certificates: v.array(certificateSchema),
})

const tenantRegistration = v.strictObject({
  tenantId: guid,
  /** Names that stand for the id, such as 'contoso.onmicrosoft.com'. */
  domains: v.optional(v.array(v.string()), []),
})

/** The platforms whose managed identity endpoint the emulator has. */
export const sourceNames = ['app-service', 'azure-arc', 'cloud-shell', 'imds', 'machine-learning', 'service-fabric'] as const

const managedIdentityRegistration = v.strictObject({
  /** Client id. Default: a new one. */
  clientId: v.optional(guid),
  /** Object id of its service principal. Default: a new one. */
  objectId: v.optional(guid),
  /** Azure resource id of a user-assigned identity. */
  resourceId: v.optional(v.pipe(v.string(), v.startsWith('/subscriptions/', 'expected a resource id, /subscriptions/…'))),
  /** Tenant that its tokens are of. Default: that of the first registration. */
  tenantId: v.optional(guid),
  /** The only endpoint that serves it. Default: all. */
  source: v.optional(v.picklist(sourceNames, `expected one of ${sourceNames.join(', ')}`)),
  /** App roles that it was given: role values by the API's App ID URI or client id. */
  appRoleAssignments: v.optional(roles),
})

/** An app registration: a client, an API, or both. */
export type AppRegistrationOptions = v.InferInput<typeof appRegistration>
/** What `replaceCertificates` takes. */
export type CertificateReplacementOptions = v.InferInput<typeof certificateReplacement>
/** A tenant and its names. */
export type TenantRegistrationOptions = v.InferInput<typeof tenantRegistration>
/** A managed identity: system-assigned without any of the three ids, else user-assigned. */
export type ManagedIdentityRegistrationOptions = v.InferInput<typeof managedIdentityRegistration>
/** A managed identity endpoint of the emulator. */
export type ManagedIdentitySourceName = NonNullable<ManagedIdentityRegistrationOptions['source']>

/** What can ask for a token: the service principal of an app or a managed identity. */
export interface Principal {
  readonly clientId: string
  readonly objectId: string
  readonly tenantId: string
  readonly appRoleAssignments: Readonly<Record<string, readonly string[]>>
}

export interface RegisteredApp extends Principal {
  readonly secrets: readonly { readonly value: string, readonly expiresOn: Date | undefined }[]
  readonly certificates: readonly RegisteredCertificate[]
  readonly federatedCredentials: readonly FederatedCredential[]
  readonly appIdUris: readonly string[]
  readonly roles: readonly string[]
  readonly scopes: readonly string[]
  readonly tokenEncryptionCertificate: X509Certificate | undefined
}

export interface RegisteredManagedIdentity extends Principal {
  readonly resourceId: string | undefined
  readonly source: ManagedIdentitySourceName | undefined
  readonly isSystemAssigned: boolean
}

/** An API that tokens can be asked for. */
export interface Resource {
  /** `aud` of its tokens. */
  readonly audience: string
  /** `aud` of its tokens of version 1.0. */
  readonly appIdUri: string
  /** All names under which roles may have been assigned for it. */
  readonly names: readonly string[]
  /** The roles it has; `undefined` when it takes any. */
  readonly roles: readonly string[] | undefined
  /** The scopes it has; `undefined` when it takes any. */
  readonly scopes: readonly string[] | undefined
  /** The scopes that `/.default` stands for. */
  readonly defaultScopes: readonly string[]
  /** Whom its tokens are encrypted for. */
  readonly encryptionCertificate: X509Certificate | undefined
}

const GRAPH = 'https://graph.microsoft.com'
const microsoftResources = [GRAPH, 'https://management.azure.com', 'https://management.core.windows.net', 'https://vault.azure.net', 'https://storage.azure.com', 'https://database.windows.net']
// For tokens that are exchanged, in each cloud: https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
const tokenExchange = ['', 'USGov', 'China', 'France', 'Germany'].map(cloud => `api://AzureADTokenExchange${cloud}`)

/** Who is registered in which tenant. */
export class Directory {
  readonly #apps: RegisteredApp[] = []
  readonly #identities: RegisteredManagedIdentity[] = []
  readonly #tenants: { readonly tenantId: string, readonly domains: readonly string[] }[] = []
  readonly #emptyTenant = randomUUID()

  /** @throws TypeError when an argument is not right */
  registerApp (options: AppRegistrationOptions): RegisteredApp {
    const { clientId, tenantId, objectId = randomUUID(), secrets = [], certificates = [], federatedCredentials = [], exposes = {}, appRoleAssignments = {}, tokenEncryptionCertificate } = parse(appRegistration, options, 'registerApp')
    const { appIdUri = [], roles = [], scopes = [] } = typeof exposes === 'string' || Array.isArray(exposes) ? { appIdUri: exposes } : exposes
    const app: RegisteredApp = Object.freeze({
      clientId: clientId.toLowerCase(),
      objectId,
      tenantId: tenantId.toLowerCase(),
      secrets: secrets.map(secret => typeof secret === 'string' ? { value: secret, expiresOn: undefined } : secret),
      certificates,
      federatedCredentials,
      appIdUris: [...[appIdUri].flat(), `api://${clientId}`, clientId],
      roles,
      scopes,
      appRoleAssignments,
      tokenEncryptionCertificate,
    })
    if (this.app(app.tenantId, app.clientId)) throw new TypeError(`registerApp: clientId: ${clientId} is registered already`)
    this.#apps.push(app)
    return app
  }

  /** @throws TypeError when an argument is not right */
  registerManagedIdentity (options: ManagedIdentityRegistrationOptions): RegisteredManagedIdentity {
    const { clientId, objectId, resourceId, tenantId = this.defaultTenant, source, appRoleAssignments = {} } = parse(managedIdentityRegistration, options, 'registerManagedIdentity')
    const identity: RegisteredManagedIdentity = Object.freeze({
      clientId: (clientId ?? randomUUID()).toLowerCase(),
      objectId: objectId ?? randomUUID(),
      tenantId: tenantId.toLowerCase(),
      resourceId,
      source,
      isSystemAssigned: [clientId, objectId, resourceId].every(id => id === undefined),
      appRoleAssignments,
    })
    this.#identities.push(identity)
    return identity
  }

  /** @throws TypeError when an argument is not right */
  registerTenant (options: TenantRegistrationOptions): void {
    this.#tenants.push(parse(tenantRegistration, options, 'registerTenant'))
  }

  /**
   * @returns the registration as it is from now on
   * @throws TypeError when an argument is not right
   */
  replaceCertificates (options: CertificateReplacementOptions): RegisteredApp {
    const { tenantId, clientId, certificates } = parse(certificateReplacement, options, 'replaceCertificates')
    const at = this.#apps.findIndex(app => app.clientId === clientId && (tenantId ?? app.tenantId) === app.tenantId)
    if (at < 0) throw new TypeError(`replaceCertificates: clientId: ${clientId} is not registered`)
    const app = Object.freeze({ ...this.#apps[at]!, certificates })
    this.#apps[at] = app
    return app
  }

  /** The endpoint that the last identity names of those that name one; the others are served by all. */
  get source (): ManagedIdentitySourceName | undefined {
    return this.#identities.findLast(({ source }) => source !== undefined)?.source
  }

  /** The id of the tenant that is called by its id or a domain of it; `undefined` when there is none. */
  tenantId (name: string): string | undefined {
    const called = this.#tenants.find(({ domains }) => domains.some(domain => same(domain, name)))
    if (called !== undefined) return called.tenantId
    return [...this.#tenants, ...this.#apps, ...this.#identities].find(({ tenantId }) => same(tenantId, name))?.tenantId
  }

  app (tenantId: string, clientId: string): RegisteredApp | undefined {
    return this.#apps.find(app => same(app.tenantId, tenantId) && same(app.clientId, clientId))
  }

  /** The identity that an endpoint is asked for: by one of the ids, or else the system-assigned one, which has an id on Machine Learning only. */
  managedIdentity (source: ManagedIdentitySourceName, ids: { clientId?: string | undefined, objectId?: string | undefined, resourceId?: string | undefined }): RegisteredManagedIdentity | undefined {
    const asked = Object.entries(ids).find(([, id]) => id !== undefined) as [keyof typeof ids, string] | undefined
    return this.#identities.find(identity => (identity.source ?? source) === source &&
      (asked === undefined ? identity.isSystemAssigned : (source === 'machine-learning' || !identity.isSystemAssigned) && same(identity[asked[0]] ?? '', asked[1])))
  }

  /** The API of that name in a tenant, or of Microsoft's. */
  resource (tenantId: string, name: string): Resource | undefined {
    const microsoft = [...microsoftResources, ...tokenExchange].find(resource => isNameOf(resource, name))
    if (microsoft !== undefined) return { audience: microsoft, appIdUri: microsoft, names: [microsoft], roles: undefined, scopes: undefined, defaultScopes: [microsoft === GRAPH ? 'User.Read' : 'user_impersonation'], encryptionCertificate: undefined }

    const app = this.#apps.find(app => same(app.tenantId, tenantId) && app.appIdUris.some(uri => isNameOf(uri, name)))
    return app && {
      audience: app.clientId,
      appIdUri: app.appIdUris.find(uri => isNameOf(uri, name) && !same(uri, app.clientId)) ?? app.appIdUris[0]!,
      names: app.appIdUris,
      roles: app.roles.length > 0 ? app.roles : undefined,
      scopes: app.scopes.length > 0 ? app.scopes : undefined,
      defaultScopes: app.scopes.length > 0 ? app.scopes : ['access_as_user'],
      encryptionCertificate: app.tokenEncryptionCertificate,
    }
  }

  /** The API of that name in the tenant, else in any that an app is registered in; without a name, the app that was registered first. */
  api (name = this.#apps[0]?.clientId, tenantId?: string): { readonly resource: Resource, readonly tenantId: string } | undefined {
    if (name === undefined) return undefined
    const tenants = [...tenantId === undefined ? [] : [tenantId], ...this.#apps.map(app => app.tenantId)]
    return tenants.map(tenantId => ({ tenantId, resource: this.resource(tenantId, name) })).find((found): found is { tenantId: string, resource: Resource } => found.resource !== undefined)
  }

  /** The roles that `principal` has in an API, as far as the API has them. */
  rolesOf (principal: Principal, resource: Resource): string[] {
    const assigned = Object.entries(principal.appRoleAssignments)
      .filter(([name]) => resource.names.some(known => same(known, name)))
      .flatMap(([, roles]) => roles)
    return assigned.filter(role => resource.roles?.includes(role) ?? true)
  }

  /** The tenant of the machine and of the vault: that of the first registration. */
  get defaultTenant (): string {
    return this.#apps[0]?.tenantId ?? this.#identities[0]?.tenantId ?? this.#emptyTenant
  }
}

/** An id that is always the same for the same parts. */
export function derivedId (...parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 22)
}

/** @throws TypeError that names the argument */
export function parse<T extends v.GenericSchema> (schema: T, value: unknown, what: string): v.InferOutput<T> {
  const { success, issues, output } = v.safeParse(schema, value)
  if (success) return output
  const faults = issues.map(issue => `${v.getDotPath(issue) ?? 'options'}: ${issue.message.replace(/ but received .*$/s, '')}`)
  throw new TypeError(`${what}: ${faults.join('; ')}`)
}

/** Whether two names of an API mean the same: letter case and slashes at the end do not count. */
export function isNameOf (a: string, b: string): boolean {
  return same(a.replace(/\/+$/, ''), b.replace(/\/+$/, ''))
}

/** Whether two ids, which have no letter case, are the same. */
export function same (a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}
