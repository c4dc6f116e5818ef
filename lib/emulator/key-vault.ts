import { randomUUID } from 'node:crypto'
import { createLocalJWKSet, errors, jwtVerify, type JWTPayload } from 'jose'
import * as v from 'valibot'
import { guidText as guid } from '../configuration/value-schemas.ts'
import { parse, type Directory } from './directory.ts'
import { Refusal } from './refusal.ts'
import type { TokenIssuer } from './token-issuer.ts'

const certificateSchema = v.pipe(v.strictObject({
  /** PKCS #12 without a password: its bytes, or base64 of them. Any other text is given out as it is. */
  pfx: v.optional(v.union([v.instance(Uint8Array), v.string()], 'expected bytes, or base64')),
  /** Private key and certificates. Any other text is given out as it is. */
  pem: v.optional(v.string()),
  /** Default: 'application/x-pkcs12' for `pfx`, 'application/x-pem-file' for `pem`. */
  contentType: v.optional(v.string()),
  /** Whether it may be read. Default: true. */
  enabled: v.optional(v.boolean()),
  /** What its attributes say. A vault gives out a secret before and after, too. */
  notBefore: v.optional(v.date()),
  /** What its attributes say. A vault gives out a secret before and after, too. */
  expiresOn: v.optional(v.date()),
}), v.check(({ pfx, pem }) => (pfx === undefined) !== (pem === undefined), 'expected one of pfx and pem'))

const nameSchema = v.pipe(v.string(), v.regex(/^[0-9a-z-]{1,127}$/i, 'expected 1 to 127 letters, digits and hyphens'))
const principalSchema = v.union([v.object({ objectId: guid }), v.object({ clientId: guid })], 'expected { objectId } or { clientId }, a GUID')

/** A certificate with its key, and what the vault says of it. */
export type KeyVaultCertificate = v.InferInput<typeof certificateSchema>
/** Who may read: a registration, or one of its ids. */
export type KeyVaultPrincipal = v.InferInput<typeof principalSchema>

/** What `GET /secrets/{name}/{version}` answers. */
export interface SecretBundle {
  readonly value: string
  readonly contentType: string
  readonly id: string
  readonly kid: string
  readonly managed: true
  readonly attributes: {
    readonly enabled: boolean
    /** Seconds since the epoch, as all that follow. */
    readonly nbf?: number
    readonly exp?: number
    readonly created: number
    readonly updated: number
    readonly recoveryLevel: string
    readonly recoverableDays: number
  }
}

/** A request for a secret. */
export interface SecretRequest {
  readonly name: string
  /** Default: the newest. */
  readonly version: string | undefined
  readonly apiVersion: string | undefined
  /** Value of the `Authorization` header. */
  readonly authorization: string | undefined
}

export interface KeyVaultOptions {
  /** Where Entra ID is, and the vault with it; ends in `/`. */
  readonly instance: () => string
  readonly issuerOf: (tenantId: string) => string
  readonly directory: Directory
  readonly issuer: TokenIssuer
  readonly now: () => number
}

const RESOURCE = 'https://vault.azure.net'

/** A request that Key Vault refuses. */
class KeyVaultRefusal extends Refusal {
  /** Key Vault's closer name of the error. */
  readonly innerCode: string | undefined

  constructor (status: number, code: string, message: string, innerCode?: string) {
    super(status, code, message)
    this.innerCode = innerCode
  }
}

/**
 * Certificates with their keys, given out as Key Vault does: as secrets of the same name, to whom has been granted.
 *
 * @see https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret
 * @see https://learn.microsoft.com/azure/key-vault/certificates/about-certificates#composition-of-a-certificate
 */
export class KeyVault {
  readonly #options: KeyVaultOptions
  readonly #secrets: SecretBundle[] = []
  readonly #granted = new Set<string>()

  constructor (options: KeyVaultOptions) {
    this.#options = options
  }

  /** For `KeyVaultUrl`; ends in `/`. */
  get url (): string {
    return this.#options.instance()
  }

  /** Where a caller without a token is sent: to the tenant of the vault. */
  get challenge (): string {
    return `Bearer authorization="${this.url}${this.#options.directory.defaultTenant}", resource="${RESOURCE}"`
  }

  /**
   * Makes a new version of a certificate, which is the newest from now on.
   *
   * @returns the version
   * @throws TypeError when an argument is not right
   */
  setCertificate (name: string, certificate: KeyVaultCertificate): string {
    parse(nameSchema, name, 'keyVault.setCertificate: name')
    const { pfx, pem, contentType, enabled = true, notBefore, expiresOn } = parse(certificateSchema, certificate, 'keyVault.setCertificate')
    const version = randomUUID().replaceAll('-', '')
    const now = Math.floor(this.#options.now() / 1000)
    this.#secrets.unshift({
      value: pem ?? (typeof pfx === 'string' ? pfx : Buffer.from(pfx!).toString('base64')),
      contentType: contentType ?? (pem === undefined ? 'application/x-pkcs12' : 'application/x-pem-file'),
      id: `${this.url}secrets/${name}/${version}`,
      kid: `${this.url}keys/${name}/${version}`,
      managed: true,
      attributes: {
        enabled,
        ...notBefore && { nbf: seconds(notBefore) },
        ...expiresOn && { exp: seconds(expiresOn) },
        created: now,
        updated: now,
        recoveryLevel: 'Recoverable+Purgeable',
        recoverableDays: 90,
      },
    })
    return version
  }

  /**
   * Lets an app or a managed identity read.
   *
   * @throws TypeError when an argument is not right
   */
  grant (principal: KeyVaultPrincipal): void {
    for (const id of Object.values(parse(principalSchema, principal, 'keyVault.grant'))) this.#granted.add(id.toLowerCase())
  }

  /** @throws Refusal */
  async secret ({ name, version, apiVersion, authorization }: SecretRequest): Promise<SecretBundle> {
    const { oid, azp } = await this.#authenticated(authorization)
    if (!apiVersion) throw new KeyVaultRefusal(400, 'BadParameter', 'api-version must be specified')
    if (![oid, azp].some(id => this.#granted.has(String(id).toLowerCase()))) {
      throw new KeyVaultRefusal(403, 'Forbidden', `Caller is not authorized to perform action on resource. Grant it with keyVault.grant. Caller: oid=${String(oid)};appid=${String(azp)}`, 'ForbiddenByRbac')
    }

    const id = `${this.url}secrets/${name}/`.toLowerCase()
    const secret = this.#secrets.find(secret => version ? secret.id.toLowerCase() === id + version.toLowerCase() : secret.id.toLowerCase().startsWith(id))
    if (secret === undefined) throw new KeyVaultRefusal(404, 'SecretNotFound', `A secret with (name/id) ${[name, version].filter(Boolean).join('/')} was not found in this key vault.`)
    if (!secret.attributes.enabled) throw new KeyVaultRefusal(403, 'Forbidden', 'Operation get is not allowed on a disabled secret.', 'SecretDisabled')
    return secret
  }

  /** What the caller's token says, when the vault's tenant issued it for vaults. */
  async #authenticated (authorization: string | undefined): Promise<JWTPayload> {
    const { directory: { defaultTenant }, issuer, issuerOf, now } = this.#options
    const token = /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1]
    if (token === undefined) throw new KeyVaultRefusal(401, 'Unauthorized', 'AKV10000: Request is missing a Bearer or PoP token.')
    try {
      const keys = createLocalJWKSet(issuer.jwks(defaultTenant))
      const { payload } = await jwtVerify(token, keys, { audience: RESOURCE, issuer: issuerOf(defaultTenant), algorithms: ['RS256'], currentDate: new Date(now()) })
      return payload
    } catch (error) {
      throw new KeyVaultRefusal(401, 'Unauthorized', reasonOf(error as Error))
    }
  }
}

/** The body of a refused request. OAuth's names, as faults have them, are none of Key Vault's. */
export function keyVaultErrorBody (refusal: Refusal): object {
  const { status, error, message } = refusal
  if (refusal instanceof KeyVaultRefusal) return { error: { code: error, message, ...refusal.innerCode !== undefined && { innererror: { code: refusal.innerCode } } } }

  const isNamed = error !== 'temporarily_unavailable' && error !== 'invalid_request'
  return { error: { code: isNamed ? error : codes[status] ?? 'InternalServerError', message } }
}

const codes: Readonly<Record<number, string>> = { 400: 'BadParameter', 401: 'Unauthorized', 403: 'Forbidden', 404: 'SecretNotFound', 429: 'Throttled', 503: 'ServiceUnavailable' }

function reasonOf (error: Error): string {
  const isClaim = error instanceof errors.JWTClaimValidationFailed
  if (isClaim && error.claim === 'aud') return `AKV10022: Invalid audience. Expected ${RESOURCE}, found: ${String(error.payload.aud)}.`
  if (isClaim && error.claim === 'iss') return `AKV10032: Invalid issuer. Found ${String(error.payload.iss)}.`
  return `Error validating token: ${error.message}.`
}

function seconds (date: Date): number {
  return Math.floor(date.getTime() / 1000)
}
