import { randomBytes, randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JSONWebKeySet, type JWK } from 'jose'
import { derivedId, type Principal } from './directory.ts'

/** What a token says. */
export interface TokenContents {
  readonly principal: Principal
  readonly audience: string
  readonly roles: readonly string[]
  /** How the client proved itself: 0 not at all, 1 by a secret, 2 by a certificate, as Entra ID counts. */
  readonly azpacr: '0' | '1' | '2'
  /** Azure resource id of a managed identity. */
  readonly resourceId?: string | undefined
  /** Seconds. */
  readonly lifetime: number
}

interface SigningKey {
  readonly kid: string
  readonly privateKey: CryptoKey
  readonly publicJwk: JWK
}

/**
 * Signs access tokens of version 2.0, with the claims that Entra ID puts in.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
 */
export class TokenIssuer {
  #keys: [SigningKey, ...SigningKey[]]
  readonly #issuer: (tenantId: string) => string
  readonly #now: () => number

  private constructor (key: SigningKey, issuer: (tenantId: string) => string, now: () => number) {
    this.#keys = [key]
    this.#issuer = issuer
    this.#now = now
  }

  static async create (issuer: (tenantId: string) => string, now: () => number): Promise<TokenIssuer> {
    return new TokenIssuer(await newKey(), issuer, now)
  }

  /** Signs with a new key from now on; the old ones stay published. */
  async rotateKeys (): Promise<void> {
    this.#keys = [await newKey(), ...this.#keys]
  }

  /** The public keys, the newest first. */
  jwks (tenantId: string): JSONWebKeySet {
    return { keys: this.#keys.map(({ publicJwk }) => ({ ...publicJwk, issuer: this.#issuer(tenantId) })) }
  }

  issue ({ principal, audience, roles, azpacr, resourceId, lifetime }: TokenContents): Promise<string> {
    const { clientId, objectId, tenantId } = principal
    const [{ kid, privateKey }] = this.#keys
    const iat = Math.floor(this.#now() / 1000)
    const claims = {
      aud: audience,
      iss: this.#issuer(tenantId),
      iat,
      nbf: iat,
      exp: iat + lifetime,
      aio: randomBytes(24).toString('base64'),
      azp: clientId,
      azpacr,
      idtyp: 'app',
      oid: objectId,
      rh: `1.${derivedId('rh', clientId, audience)}.`,
      ...roles.length > 0 && { roles },
      sub: objectId,
      tid: tenantId,
      uti: randomBytes(16).toString('base64url'),
      ver: '2.0',
      ...resourceId !== undefined && { xms_mirid: resourceId },
    }
    return new SignJWT(claims).setProtectedHeader({ typ: 'JWT', alg: 'RS256', kid }).sign(privateKey)
  }
}

async function newKey (): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { modulusLength: 2048 })
  const kid = randomUUID()
  return { kid, privateKey, publicJwk: { ...await exportJWK(publicKey), kid, use: 'sig', alg: 'RS256' } }
}
