import { randomBytes, randomUUID } from 'node:crypto'
import fastify, { type FastifyInstance } from 'fastify'
import type { Dispatcher } from 'undici'
import * as v from 'valibot'
import { hostOf } from '../../lib/authorities/hosts.ts'
import type { TokenVersion } from '../../lib/authorities/openid-configuration.ts'
import { hostText } from '../../lib/configuration/value-schemas.ts'
import { addressedAuthority } from '../../lib/emulator/addressed-authority.ts'
import { ArcKey } from '../../lib/emulator/arc-key.ts'
import { Directory, parse, sourceNames, type AppRegistrationOptions, type CertificateReplacementOptions, type ManagedIdentityRegistrationOptions, type ManagedIdentitySourceName, type RegisteredApp, type RegisteredManagedIdentity, type TenantRegistrationOptions } from '../../lib/emulator/directory.ts'
import { Faults, type Fault } from '../../lib/emulator/faults.ts'
import { FederatedIssuer, type FederatedTokenOptions } from '../../lib/emulator/federated-issuer.ts'
import { identityDispatcher } from '../../lib/emulator/identity-dispatcher.ts'
import { IssuerKeys } from '../../lib/emulator/issuer-keys.ts'
import { IssueOrder } from '../../lib/emulator/issue-order.ts'
import { KeyVault } from '../../lib/emulator/key-vault.ts'
import { ManagedIdentityEndpoint } from '../../lib/emulator/managed-identity-endpoint.ts'
import { managedIdentityEnvironment } from '../../lib/emulator/managed-identity-environment.ts'
import { RefreshTokens } from '../../lib/emulator/refresh-tokens.ts'
import type { RecordedRequest } from '../../lib/emulator/request-log.ts'
import { ServiceAccount, type ServiceAccountOptions } from '../../lib/emulator/service-account.ts'
import { SigningKeys, type KeyRotationOptions } from '../../lib/emulator/signing-keys.ts'
import { TokenEndpoint } from '../../lib/emulator/token-endpoint.ts'
import { TokenIssuer } from '../../lib/emulator/token-issuer.ts'
import { UserGrants } from '../../lib/emulator/user-grants.ts'
import { UserRules, type AcrsRule, type ConsentRule, type MfaRule } from '../../lib/emulator/user-rules.ts'
import { UserTokenIssuer } from '../../lib/emulator/user-token-issuer.ts'
import { UserTokens, type UserTokenOptions } from '../../lib/emulator/user-tokens.ts'
import { entraId } from './entra-id.ts'
import { federatedIssuers } from './federated-issuers.ts'
import { keyVaultRoutes } from './key-vault.ts'
import { managedIdentity } from './managed-identity.ts'
import { requestRecorder } from './request-recorder.ts'

const DEFAULT_LIFETIME = 3599

const seconds = v.pipe(v.number(), v.minValue(0, 'expected at least 0'))
const pem = v.union([v.string(), v.instance(Buffer)], 'expected PEM')
const keyAndCertificate = v.strictObject({ key: pem, cert: pem })
const optionsSchema = v.strictObject({
  /** Default: a free one. */
  port: v.optional(v.pipe(v.number(), v.integer('expected a port'), v.minValue(0, 'expected a port'), v.maxValue(65_535, 'expected a port'))),
  /** The loopback address to listen on. Default: '127.0.0.1'. */
  host: v.optional(v.picklist(['127.0.0.1', '::1', 'localhost'], 'the emulator listens on loopback only: expected 127.0.0.1, ::1 or localhost')),
  /** Key and certificate (PEM) for https. Default: http. */
  tls: v.optional(keyAndCertificate),
  /** Key and certificate (PEM) of Service Fabric's endpoint, which is https and known by its certificate. Default: it is not there. */
  serviceFabric: v.optional(keyAndCertificate),
  /** Where the key of Azure Arc is written, when that source is used. MSAL reads keys from the default only. Default: '/var/opt/azcmagent/tokens'. */
  arcKeyFolder: v.optional(v.string()),
  /** Seconds that access tokens live. Default: 3,599 for apps, 86,399 for managed identities. */
  accessTokenLifetime: v.optional(seconds),
  /** Seconds after which Entra ID wants a token renewed. Default: half of a life of more than two hours, else it does not say. */
  refreshIn: v.optional(seconds),
  /** Hosts that `identityDispatcher` carries to the emulator beside those of Microsoft: custom domains. Default: none. */
  authorityHosts: v.optional(v.array(hostText)),
  /** The clock, in milliseconds since the epoch. Default: `Date.now`. */
  now: v.optional(v.custom<() => number>(value => typeof value === 'function', 'expected a function')),
})

export type EntraEmulatorOptions = v.InferInput<typeof optionsSchema>

/** Entra ID and managed identity endpoints on loopback: real keys, real signatures, real checks. */
export interface EntraEmulator {
  /** For `AzureAd.Instance`; ends in `/`. */
  readonly instance: string
  /**
   * The variables that make a managed identity endpoint known, for this process or a child: of the `source` that was
   * registered last, else of App Service.
   */
  readonly env: Readonly<Record<string, string>>
  /**
   * The variables that make a managed identity endpoint known. Those of Azure Arc come with its key, which is a file.
   *
   * @throws TypeError for Service Fabric without the option `serviceFabric`
   * @throws Error for Azure Arc when the key cannot be written
   */
  envOf (source: ManagedIdentitySourceName): Readonly<Record<string, string>>
  /** `iss` of the tenant's tokens: of version 2.0, unless another is asked for. */
  issuer (tenantId: string, version?: TokenVersion): string
  /** Where the keys are that the tenant's tokens are signed with. */
  jwksUri (tenantId: string): string
  /** Registers a client, an API, or both in one. */
  registerApp (options: AppRegistrationOptions): RegisteredApp
  /** Names a tenant by its domains. */
  registerTenant (options: TenantRegistrationOptions): void
  /** Gives an app other certificates; gives the registration as it is from now on. */
  replaceCertificates (options: CertificateReplacementOptions): RegisteredApp
  /** A service account of a cluster, with a token in a file that an app can prove itself with. */
  registerServiceAccount (options: ServiceAccountOptions): Promise<ServiceAccount>
  /** `iss` of the tokens of `issueFederatedToken`. */
  readonly federatedIssuer: string
  /** A token of another issuer, such as GitHub Actions, that an app can prove itself with. */
  issueFederatedToken (options: FederatedTokenOptions): Promise<string>
  /** For the plugin's `identityDispatcher`: carries what is sent to Microsoft's authorities to the emulator, and nothing else anywhere. */
  readonly identityDispatcher: Dispatcher
  /** Registers the system-assigned identity, or a user-assigned one by its ids. */
  registerManagedIdentity (options?: ManagedIdentityRegistrationOptions): RegisteredManagedIdentity
  /** A Key Vault of the tenant of the first registration. */
  readonly keyVault: Pick<KeyVault, 'url' | 'setCertificate' | 'grant'>
  /** What reached the emulator, in order. */
  readonly requests: readonly RecordedRequest[]
  /** Those that asked for a token. */
  readonly tokenRequests: readonly RecordedRequest[]
  /** Makes the next requests fail; gives a function that withdraws the fault. */
  fail (fault: Fault): () => void
  /** An access token for an API, as a user's client got it. */
  issueUserToken (options?: UserTokenOptions): Promise<string>
  /** An ID token of a user, which is for the client: no API may take it. */
  issueIdToken (options?: UserTokenOptions): Promise<string>
  /** The client lacks consent: AADSTS65001. Gives, as all that follow, a function that withdraws the rule. */
  requireConsent (rule: ConsentRule): () => void
  /** The user must have signed in with a second factor (`amr` 'mfa'): else AADSTS50076, with the claims to ask for. */
  requireMfa (rule?: MfaRule): () => void
  /** The user must have signed in for these authentication contexts (`acrs`): else AADSTS50158, with the claims to ask for. */
  requireAcrs (rule: AcrsRule): () => void
  /** Ends the user's sessions: what was issued until now is refused with AADSTS50173. */
  revokeUser (objectId: string): () => void
  /** Disables the user's account: AADSTS50057. */
  disableUser (objectId: string): () => void
  /** Signs with a new key from now on. By default it is published at once, and the old ones stay published. */
  rotateKeys (options?: KeyRotationOptions): Promise<void>
  /** Publishes the key that `rotateKeys` has kept back. */
  publishKeys (): void
  /** Ends it, with all requests that are under way. */
  close (): Promise<void>
}

/**
 * Starts an emulator of Entra ID and of Azure's managed identity endpoints on a loopback address.
 *
 * @throws TypeError when an option is not right, as is any address but a loopback one
 */
export async function startEntraEmulator (options: EntraEmulatorOptions = {}): Promise<EntraEmulator> {
  const { port = 0, host = '127.0.0.1', tls, serviceFabric, arcKeyFolder = '/var/opt/azcmagent/tokens', accessTokenLifetime, refreshIn, authorityHosts = [], now = Date.now } = parse(optionsSchema, options, 'startEntraEmulator')
  const directory = new Directory()
  const faults = new Faults()
  const identityHeader = randomBytes(16).toString('hex')
  const requests: RecordedRequest[] = []
  let instance = ''

  const issuerBelow = (base: string, tenantId: string, version: TokenVersion) => `${base}${tenantId.toLowerCase()}/${version === '2.0' ? 'v2.0' : ''}`
  const issuerOf = (tenantId: string, version: TokenVersion = '2.0') => issuerBelow(instance, tenantId, version)
  // Clients believe a custom domain that names itself; loopback is no issuer to them.
  const customHosts = new Set(authorityHosts.map(hostOf))
  const issuerAt = (tenantId: string, version: TokenVersion, { host, origin }: URL) => issuerBelow(customHosts.has(host) ? `${origin}/` : instance, tenantId, version)
  const keys = await SigningKeys.create()
  const issuer = new TokenIssuer(keys, issuerOf, now)
  const lifetime = accessTokenLifetime ?? DEFAULT_LIFETIME
  const order = new IssueOrder()
  const rules = new UserRules(order)
  const userIssuer = new UserTokenIssuer({ keys, issuerOf, order, now })
  const userTokens = new UserTokens({ directory, issuer: userIssuer, lifetime })
  const userGrants = new UserGrants({ directory, keys, issuerOf, issuer: userIssuer, refreshTokens: new RefreshTokens(order, now), rules, lifetime, now })
  const keyVault = new KeyVault({ instance: () => instance, issuerOf, directory, issuer, now })
  const issuers = new Map<string, FederatedIssuer>()
  const newIssuer = (kind: 'kubernetes' | 'federated') => {
    const path = `${kind}/${randomUUID()}`
    const added = new FederatedIssuer(`${instance}${path}`, now)
    issuers.set(path, added)
    return added
  }
  const issuerKeys = new IssuerKeys(url => {
    if (!url.startsWith(instance)) return undefined
    const path = url.slice(instance.length)
    return issuers.get(path)?.jwks ?? (path.endsWith('/v2.0') ? keys.known : undefined)
  })
  const arcKey = new ArcKey(arcKeyFolder)
  const endpoint = new ManagedIdentityEndpoint({ directory, issuer, now, accessTokenLifetime, identityHeader, arcKey })
  const app = await listener(tls)
  const fabric = serviceFabric && await listener(serviceFabric)
  await app.register(entraId, { issuerOf, issuerAt, keys, now, directory, tokenEndpoint: new TokenEndpoint({ directory, issuer, issuerOf, issuerKeys, userGrants, lifetime, refreshIn, now }) })
  await app.register(federatedIssuers, { issuer: path => issuers.get(path) })
  await app.register(managedIdentity, { endpoint, sources: sourceNames.filter(name => name !== 'service-fabric') })
  await fabric?.register(managedIdentity, { endpoint, sources: ['service-fabric'] })
  await app.register(keyVaultRoutes, { keyVault })
  instance = await listen(app, port)
  const environment = { instance, serviceFabric: fabric && { origin: await listen(fabric, 0), cert: serviceFabric.cert }, identityHeader, arcKey, directory }
  const envOf = (source: ManagedIdentitySourceName) => Object.freeze(managedIdentityEnvironment(source, environment))

  const federatedIssuer = newIssuer('federated')
  const dispatcher = identityDispatcher({ origin: () => instance.slice(0, -1), cert: tls?.cert, authorityHosts })
  return {
    instance,
    get env () { return envOf(directory.source ?? 'app-service') },
    envOf,
    issuer: issuerOf,
    jwksUri: tenantId => `${instance}${tenantId.toLowerCase()}/discovery/v2.0/keys`,
    registerApp: options => directory.registerApp(options),
    registerManagedIdentity: (options = {}) => directory.registerManagedIdentity(options),
    registerTenant: options => directory.registerTenant(options),
    replaceCertificates: options => directory.replaceCertificates(options),
    registerServiceAccount: options => ServiceAccount.create(options, newIssuer('kubernetes'), instance),
    federatedIssuer: federatedIssuer.url,
    issueFederatedToken: options => federatedIssuer.issue(options),
    identityDispatcher: dispatcher,
    keyVault,
    requests,
    get tokenRequests () { return requests.filter(({ endpoint }) => endpoint === 'token' || endpoint === 'managed-identity') },
    fail: fault => faults.add(fault),
    issueUserToken: (options = {}) => userTokens.issueAccessToken(options),
    issueIdToken: (options = {}) => userTokens.issueIdToken(options),
    requireConsent: rule => rules.requireConsent(rule),
    requireMfa: (rule = {}) => rules.requireMfa(rule),
    requireAcrs: rule => rules.requireAcrs(rule),
    revokeUser: objectId => rules.revokeUser(objectId),
    disableUser: objectId => rules.disableUser(objectId),
    rotateKeys: (options = {}) => keys.rotate(options),
    publishKeys: () => keys.publish(),
    async close () {
      await Promise.all([app.close(), fabric?.close()])
      await dispatcher.destroy()
      arcKey.remove()
    },
  }

  async function listener (https: typeof tls): Promise<FastifyInstance> {
    const app = fastify({
      forceCloseConnections: true,
      routerOptions: { ignoreTrailingSlash: true },
      rewriteUrl: ({ url }) => addressedAuthority(url!).path,
      ...https && { https },
    }) as unknown as FastifyInstance
    await app.register(requestRecorder, { requests, faults })
    return app
  }

  async function listen (app: FastifyInstance, port: number): Promise<string> {
    return `${await app.listen({ port, host })}/`.replace(/\/\/(127\.0\.0\.1|\[::1\]):/, host === 'localhost' ? '//localhost:' : '//$1:')
  }
}
