import { createCipheriv, createDecipheriv, randomBytes, createSecretKey, type KeyObject } from 'node:crypto'

/** A key for tokens in a shared store. */
export interface EncryptionKey {
  /** Names the key, so that values can be read after keys have changed. */
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
  constructor (keys: readonly EncryptionKey[]) {
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
    const at = value.lastIndexOf('.')
    const key = this.#keys.get(value.slice(0, at))
    const sealed = Buffer.from(value.slice(at + 1), 'base64url')
    if (key === undefined || sealed.length < IV_LENGTH + TAG_LENGTH) return undefined

    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, IV_LENGTH), { authTagLength: TAG_LENGTH })
    decipher.setAAD(Buffer.from(name)).setAuthTag(sealed.subarray(-TAG_LENGTH))
    try {
      return decipher.update(sealed.subarray(IV_LENGTH, -TAG_LENGTH), undefined, 'utf8') + decipher.final('utf8')
    } catch {
      return undefined
    }
  }
}
