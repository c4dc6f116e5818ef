import { randomUUID } from 'node:crypto'
import { SignJWT, type JSONWebKeySet } from 'jose'
import * as v from 'valibot'
import { parse } from './directory.ts'
import { TOKEN_EXCHANGE_AUDIENCE } from './federated-credential.ts'
import { newSigningKey, type SigningKey } from './signing-key.ts'

const HOUR = 3600

/** What is the same for all tokens of other issuers. */
export const federatedTokenEntries = {
  /** `aud` of the token. Default: 'api://AzureADTokenExchange'. */
  audience: v.optional(v.string(), TOKEN_EXCHANGE_AUDIENCE),
  /** Seconds that the token lives. Default: 3,600. */
  lifetime: v.optional(v.number(), HOUR),
}

const federatedToken = v.strictObject({
  /** `sub` of the token, such as 'repo:contoso/orders:ref:refs/heads/main'. */
  subject: v.string(),
  ...federatedTokenEntries,
  /** Further claims. */
  claims: v.optional(v.record(v.string(), v.unknown()), {}),
})

/** A token of another issuer than Entra ID. */
export type FederatedTokenOptions = v.InferInput<typeof federatedToken>

/** An issuer that apps can trust by their federated credentials: a cluster of Kubernetes, GitHub Actions. */
export class FederatedIssuer {
  /** `iss` of its tokens. */
  readonly url: string
  readonly #keys: SigningKey[] = []
  readonly #now: () => number

  constructor (url: string, now: () => number) {
    this.url = url
    this.#now = now
  }

  /** Signs with a new key from now on; the old ones stay published. */
  async rotateKey (): Promise<void> {
    this.#keys.unshift(await newSigningKey())
  }

  /** The public keys, the newest first. */
  get jwks (): JSONWebKeySet {
    return { keys: this.#keys.map(({ publicJwk }) => publicJwk) }
  }

  /** @throws TypeError when an argument is not right */
  async issue (options: FederatedTokenOptions): Promise<string> {
    const { subject, audience, lifetime, claims } = parse(federatedToken, options, 'issueFederatedToken')
    if (this.#keys.length === 0) await this.rotateKey()
    const { kid, privateKey } = this.#keys[0]!
    const iat = Math.floor(this.#now() / 1000)
    return new SignJWT({ ...claims, aud: audience, exp: iat + lifetime, iat, iss: this.url, jti: randomUUID(), nbf: iat, sub: subject })
      .setProtectedHeader({ alg: 'RS256', kid })
      .sign(privateKey)
  }
}
