import { createCipheriv, createDecipheriv, randomBytes, createSecretKey, type KeyObject } from 'node:crypto'

/** A key of {@link TokenCipher}. */
export interface CipherKey {
  /** Without dots. */
  readonly id: string
  /** 32 bytes. */
  readonly key: Uint8Array
}

const IV_LENGTH = 12
const TAG_LENGTH = 16

/**
 * Encrypts values for a shared store with AES-256-GCM (NIST SP 800-38D), each bound to the name that it is stored under:
 * one that was changed, or stands under another name, does not decrypt.
 */
export class TokenCipher {
  readonly #keys: ReadonlyMap<string, KeyObject>
  readonly #writingId: string

  /** @param keys at least one: the first encrypts; all decrypt */
  constructor (keys: readonly CipherKey[]) {
    this.#keys = new Map(keys.map(({ id, key }) => [id, createSecretKey(key)]))
    this.#writingId = keys[0]!.id
  }

  /** `<key id>.<base64url of IV, ciphertext and tag>` */
  encrypt (text: string, name: string): string {
    const iv = randomBytes(IV_LENGTH)
    const cipher = createCipheriv('aes-256-gcm', this.#keys.get(this.#writingId)!, iv).setAAD(Buffer.from(name))
    const sealed = Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return `${this.#writingId}.${sealed.toString('base64url')}`
  }

  /** The text that was encrypted under `name`; `undefined` for anything else. */
  decrypt (value: string, name: string): string | undefined {
    const [id, encoded = '', ...rest] = value.split('.', 3)
    const key = this.#keys.get(id!)
    const sealed = Buffer.from(encoded, 'base64url')
    // The decoder passes over what is no base64url, and over bits that no byte needs: then it is not the text that was written.
    const isWhole = rest.length === 0 && sealed.length >= IV_LENGTH + TAG_LENGTH && sealed.toString('base64url') === encoded
    if (key === undefined || !isWhole) return undefined

    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, IV_LENGTH), { authTagLength: TAG_LENGTH })
    decipher.setAAD(Buffer.from(name)).setAuthTag(sealed.subarray(-TAG_LENGTH))
    try {
      return decipher.update(sealed.subarray(IV_LENGTH, -TAG_LENGTH), undefined, 'utf8') + decipher.final('utf8')
    } catch {
      return undefined
    }
  }
}
