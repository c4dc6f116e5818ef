import { randomBytes } from 'node:crypto'
import type { JWTPayload } from 'jose'
import type { TokenVersion } from '../authorities/openid-configuration.ts'
import { derivedId, type Resource } from './directory.ts'
import { utiOf, type IssueOrder } from './issue-order.ts'
import type { SigningKeys } from './signing-keys.ts'
import { encrypted } from './token-encryption.ts'
import type { ClientProof } from './token-issuer.ts'

/** A user as signed in: what passes on from one token to the next. */
export interface User {
  readonly tenantId: string
  readonly objectId: string
  readonly name: string | undefined
  readonly preferredUsername: string | undefined
  /** How the user signed in: 'pwd', 'mfa'. */
  readonly amr: readonly string[]
  /** Authentication contexts of Conditional Access that the sign-in meets: 'c1'. */
  readonly acrs: readonly string[]
}

/** What is the same for all tokens of a user. */
export interface UserTokenContents {
  readonly user: User
  /** The client that the token is for, or that asked for it. */
  readonly clientId: string
  readonly roles?: readonly string[]
  /** `sub`. Default: pairwise, by the user and the audience. */
  readonly subject?: string | undefined
  readonly version: TokenVersion
  /** Seconds; not above 0 for a token that has expired. */
  readonly lifetime: number
  /** Claims that are put over all others; what is `undefined` is left out. */
  readonly claims?: Readonly<Record<string, unknown>>
}

export interface UserAccessTokenContents extends UserTokenContents {
  readonly resource: Resource
  readonly scopes: readonly string[]
  readonly proof: ClientProof
  /** What the client says it can do (`xms_cc`). */
  readonly clientCapabilities?: readonly string[] | undefined
}

export interface UserTokenIssuerOptions {
  readonly keys: SigningKeys
  /** `iss` of a tenant. */
  readonly issuerOf: (tenantId: string, version: TokenVersion) => string
  readonly order: IssueOrder
  readonly now: () => number
}

const HOUR = 3600

/**
 * Signs the tokens of users, with the claims that Entra ID puts in.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
 * @see https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference
 */
export class UserTokenIssuer {
  readonly #options: UserTokenIssuerOptions

  constructor (options: UserTokenIssuerOptions) {
    this.#options = options
  }

  /** An access token; a JWE where the API has its tokens encrypted. */
  async issueAccessToken (contents: UserAccessTokenContents): Promise<string> {
    const { user: { preferredUsername, amr }, clientId, resource, scopes, proof, version, clientCapabilities, claims } = contents
    const { audience, appIdUri, encryptionCertificate } = resource
    const ofVersion = version === '2.0'
      ? { aud: audience, azp: clientId, azpacr: proof, preferred_username: preferredUsername }
      : { aud: appIdUri, acr: '1', appid: clientId, appidacr: proof, unique_name: preferredUsername, upn: preferredUsername }
    const token = await this.#options.keys.sign({
      ...this.#common(contents, audience),
      ...ofVersion,
      amr,
      idtyp: 'user',
      scp: scopes.length > 0 ? scopes.join(' ') : undefined,
      xms_cc: clientCapabilities,
      ...claims,
    })
    return encrypted(token, encryptionCertificate)
  }

  /** An ID token for the client. */
  issueIdToken (contents: UserTokenContents & { readonly nonce?: string }): Promise<string> {
    const { user: { preferredUsername }, clientId, nonce, claims } = contents
    return this.#options.keys.sign({ ...this.#common(contents, clientId), aud: clientId, nonce, preferred_username: preferredUsername, ...claims })
  }

  #common ({ user, clientId, roles = [], subject, version, lifetime }: UserTokenContents, audience: string): JWTPayload {
    const { issuerOf, order, now } = this.#options
    const { tenantId, objectId, name, acrs } = user
    const exp = Math.floor(now() / 1000) + lifetime
    const iat = exp - (lifetime > 0 ? lifetime : HOUR)
    return {
      iss: issuerOf(tenantId, version),
      iat,
      nbf: iat,
      exp,
      ...acrs.length > 0 && { acrs },
      aio: randomBytes(24).toString('base64'),
      name,
      oid: objectId,
      rh: `1.${derivedId('rh', clientId, audience)}.`,
      ...roles.length > 0 && { roles },
      sub: subject ?? derivedId('sub', objectId, audience),
      tid: tenantId,
      uti: utiOf(order.next()),
      ver: version,
    }
  }
}
