import { randomBytes } from 'node:crypto'
import type { JSONWebKeySet } from 'jose'
import { derivedId, type Principal } from './directory.ts'
import type { SigningKeys } from './signing-keys.ts'

/** How the client proved itself: 0 not at all, 1 by a secret, 2 by a certificate, as Entra ID counts. */
export type ClientProof = '0' | '1' | '2'

/** What the token of an app or a managed identity says. */
export interface TokenContents {
  readonly principal: Principal
  readonly audience: string
  readonly roles: readonly string[]
  readonly azpacr: ClientProof
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
 * Signs access tokens of version 2.0 for apps and managed identities, with the claims that Entra ID puts in.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
 */
export class TokenIssuer {
  readonly #keys: SigningKeys
  readonly #issuer: (tenantId: string) => string
  readonly #now: () => number

  constructor (keys: SigningKeys, issuer: (tenantId: string) => string, now: () => number) {
    this.#keys = keys
    this.#issuer = issuer
    this.#now = now
  }

  /** The public keys, the newest first, as the key set of version 2.0 has them. */
  jwks (tenantId: string): JSONWebKeySet {
    return this.#keys.jwks({ issuer: this.#issuer(tenantId) })
  }

  issue ({ principal, audience, roles, azpacr, resourceId, subject, clientCapabilities, lifetime }: TokenContents): Promise<string> {
    const { clientId, objectId, tenantId } = principal
    const iat = Math.floor(this.#now() / 1000)
    return this.#keys.sign({
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
    })
  }
}
