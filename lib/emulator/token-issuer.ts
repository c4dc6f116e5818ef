import { randomBytes } from 'node:crypto'
import { SignJWT, type JSONWebKeySet } from 'jose'
import { derivedId, type Principal } from './directory.ts'
import { newSigningKey, type SigningKey } from './signing-key.ts'

/** What a token says. */
export interface TokenContents {
  readonly principal: Principal
  readonly audience: string
  readonly roles: readonly string[]
  /** How the client proved itself: 0 not at all, 1 by a secret, 2 by a certificate, as Entra ID counts. */
  readonly azpacr: '0' | '1' | '2'
  /** Azure resource id of a managed identity. */
  readonly resourceId?: string | undefined
  /** `sub` of an identity below the client. Default: the principal's object id. */
  readonly subject?: string | undefined
  /** What the client says it can do (`xms_cc`): 'cp1' is to handle claims challenges. */
  readonly clientCapabilities?: readonly string[] | undefined
  /** Seconds. */
  readonly lifetime: number
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
    return new TokenIssuer(await newSigningKey(), issuer, now)
  }

  /** Signs with a new key from now on; the old ones stay published. */
  async rotateKeys (): Promise<void> {
    this.#keys = [await newSigningKey(), ...this.#keys]
  }

  /** The public keys, the newest first. */
  jwks (tenantId: string): JSONWebKeySet {
    return { keys: this.#keys.map(({ publicJwk }) => ({ ...publicJwk, issuer: this.#issuer(tenantId) })) }
  }

  issue ({ principal, audience, roles, azpacr, resourceId, subject, clientCapabilities, lifetime }: TokenContents): Promise<string> {
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
      sub: subject ?? objectId,
      tid: tenantId,
      uti: randomBytes(16).toString('base64url'),
      ver: '2.0',
      ...clientCapabilities !== undefined && { xms_cc: clientCapabilities },
      ...resourceId !== undefined && { xms_mirid: resourceId },
    }
    return new SignJWT(claims).setProtectedHeader({ typ: 'JWT', alg: 'RS256', kid }).sign(privateKey)
  }
}
