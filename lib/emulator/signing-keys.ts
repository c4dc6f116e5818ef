import { SignJWT, type JSONWebKeySet, type JWTPayload } from 'jose'
import * as v from 'valibot'
import { parse } from './directory.ts'
import { newSigningKey, type SigningKey } from './signing-key.ts'

const keyRotation = v.strictObject({
  /** Takes the old keys out of the key set. Default: false. */
  retireOld: v.optional(v.boolean(), false),
  /** Puts the new key into the key set. Default: true; otherwise `publishKeys` does it. */
  publishNew: v.optional(v.boolean(), true),
})

/** What `rotateKeys` takes. */
export type KeyRotationOptions = v.InferInput<typeof keyRotation>

interface KnownKey {
  readonly key: SigningKey
  readonly isPublished: boolean
}

/** The keys that the emulator's tokens are signed with, the newest first. */
export class SigningKeys {
  #keys: readonly [KnownKey, ...KnownKey[]]

  private constructor (key: SigningKey) {
    this.#keys = [{ key, isPublished: true }]
  }

  static async create (): Promise<SigningKeys> {
    return new SigningKeys(await newSigningKey())
  }

  /**
   * Signs with a new key from now on.
   *
   * @throws TypeError when an argument is not right
   */
  async rotate (options: KeyRotationOptions): Promise<void> {
    const { retireOld, publishNew } = parse(keyRotation, options, 'rotateKeys')
    const key = await newSigningKey()
    this.#keys = [{ key, isPublished: publishNew }, ...retireOld ? [] : this.#keys]
  }

  /** Publishes the keys that are not yet. */
  publish (): void {
    const [newest, ...older] = this.#keys
    this.#keys = [{ ...newest, isPublished: true }, ...older.map(known => ({ ...known, isPublished: true }))]
  }

  /** What everybody can fetch: the public keys as far as they are published. */
  jwks (members: { readonly issuer?: string } = {}): JSONWebKeySet {
    return { keys: this.#keys.filter(({ isPublished }) => isPublished).map(({ key }) => ({ ...key.publicJwk, ...members })) }
  }

  /** What Entra ID itself verifies with: all keys that are not retired. */
  get known (): JSONWebKeySet {
    return { keys: this.#keys.map(({ key }) => key.publicJwk) }
  }

  sign (claims: JWTPayload): Promise<string> {
    const [{ key: { kid, privateKey } }] = this.#keys
    return new SignJWT(claims).setProtectedHeader({ typ: 'JWT', alg: 'RS256', kid }).sign(privateKey)
  }
}
