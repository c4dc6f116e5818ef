import type { TokenVersion } from '../authorities/openid-configuration.ts'
import type { CallerClaims, CallerFacts, CallerKind } from './caller.ts'
import { PERSONAL_ACCOUNTS, type InboundConfiguration, type Tenants } from './inbound-configuration.ts'
import type { Issuer } from './issuer.ts'
import { tokenRefused } from './refusals.ts'
import type { SigningKey } from './signing-keys.ts'

export interface Judging {
  readonly configuration: InboundConfiguration
  readonly version: TokenVersion
  /** In whose name tokens of that version are. */
  readonly issuer: Issuer
  /** The same as keys name it: that of version 2.0. */
  readonly issuerOfKeys: Issuer
  readonly key: SigningKey
  /** Milliseconds since the epoch. */
  readonly now: number
}

type Claims = Readonly<Record<string, unknown>>

/** Claims that only a sign-in puts into a token. */
const ofSignIns = ['amr', 'preferred_username', 'unique_name', 'upn']
/** Seconds of the last moment that JavaScript has a date for. */
const END_OF_TIME = 8_640_000_000_000

/**
 * Whose token this is, when its claims hold (RFC 8725 sections 3.8 to 3.12).
 *
 * @param claims of a token whose signature has been verified with `key`
 * @throws UnauthorizedError
 * @see https://learn.microsoft.com/entra/identity-platform/claims-validation
 */
export function judgeClaims (claims: Claims, { configuration, version, issuer, issuerOfKeys, key, now }: Judging): CallerFacts {
  requireTime(claims, now / 1000, configuration.clockTolerance)
  requireAudience(claims, configuration.audiences)
  const tenantId = requireIssuer(claims, issuer, configuration)
  requireKeyOfIssuer(key, tenantId, issuerOfKeys)
  requireTenant(tenantId, issuer, configuration.tenants)
  requireClient(claims, version, configuration)
  const { kind, scopes, roles } = rightsOf(claims)
  return { claims: claims as CallerClaims, kind, tenantId, scopes, roles, key }
}

function requireTime ({ exp, nbf, iat }: Claims, now: number, tolerance: number): void {
  if (!isTime(exp)) throw tokenRefused('it does not say when it ends')
  if (now >= exp + tolerance) throw tokenRefused('it has expired')
  if (nbf !== undefined && !(isTime(nbf) && now >= nbf - tolerance)) throw tokenRefused('it is not valid yet')
  if (iat !== undefined && !(isTime(iat) && now >= iat - tolerance)) throw tokenRefused('it was issued in the future')
}

function isTime (value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= END_OF_TIME
}

function requireAudience ({ aud }: Claims, audiences: ReadonlySet<string>): void {
  const isMeant = Array.isArray(aud) ? aud.some(audience => audiences.has(audience)) : audiences.has(aud as string)
  if (!isMeant) throw tokenRefused('it is for another API')
}

/** The version of a token. Azure AD B2C writes 1.0 into tokens that are otherwise of version 2.0. */
export function versionOf ({ ver = '2.0' }: Claims, { authority }: InboundConfiguration): TokenVersion {
  if (ver !== '1.0' && ver !== '2.0') throw tokenRefused('its version is not known')
  return authority.policy === undefined ? ver : '2.0'
}

/** The tenant of the token, which its issuer names. Only tokens of B2C do not name it themselves too. */
function requireIssuer ({ iss, tid }: Claims, issuer: Issuer, { authority }: InboundConfiguration): string {
  const tenantId = tid === undefined && authority.policy !== undefined ? issuer.tenantId : tid
  if (typeof tenantId !== 'string' || !issuer.is(iss, tenantId)) throw tokenRefused('it is of another issuer')
  return tenantId
}

/** A key that is published for one tenant signs for that tenant only. The keys of B2C do not say whose they are: they are of the only tenant there is. */
function requireKeyOfIssuer (key: SigningKey, tenantId: string, expected: Issuer): void {
  const signs = key.issuer === undefined ? expected.tenantId === tenantId : expected.isOfKey(key.issuer, tenantId)
  if (!signs) throw tokenRefused('its key is of another issuer')
}

/** An authority that was asked for its own tenant, and names none, lets nobody in. */
function requireTenant (tenantId: string, issuer: Issuer, tenants: Tenants): void {
  const isTaken = tenants === 'own' ? !issuer.isOfAnyTenant : tenants === 'any' ? tenantId !== PERSONAL_ACCOUNTS : tenants.has(tenantId)
  if (!isTaken) throw tokenRefused('it is of a tenant that may not call')
}

/** An access token names the app that it was given to; an ID token does not. */
function requireClient (claims: Claims, version: TokenVersion, { clients, publicClients }: InboundConfiguration): void {
  const [client, authentication] = version === '2.0' ? [claims['azp'], claims['azpacr']] : [claims['appid'], claims['appidacr']]
  if (typeof client !== 'string' || client === '') throw tokenRefused('it is no access token')
  if (clients !== undefined && !clients.has(client.toLowerCase())) throw tokenRefused('it was given to an app that may not call')
  if (!publicClients && authentication !== '1' && authentication !== '2') throw tokenRefused('it was given to an app that has not proved itself')
}

/** Scopes are of users, and roles alone are of apps: a token with neither lets do nothing. Where it does not say whose it is (`idtyp`), nobody has signed in for an app's. */
function rightsOf (claims: Claims): { kind: CallerKind, scopes: readonly string[], roles: readonly string[] } {
  const { scp, roles, idtyp } = claims
  const scopes = typeof scp === 'string' ? scp.split(' ').filter(Boolean) : []
  const assigned = Array.isArray(roles) ? roles.filter(role => typeof role === 'string') : []
  if (idtyp === 'app' || (idtyp === undefined && scopes.length === 0 && !ofSignIns.some(claim => claim in claims))) {
    if (assigned.length === 0) throw tokenRefused('it has no app role')
    return { kind: 'app', scopes: [], roles: assigned }
  }
  if (scopes.length === 0) throw tokenRefused('it has no scope')
  return { kind: 'user', scopes, roles: assigned }
}
