import * as v from 'valibot'
import type { TokenStore } from '../store/token-store.ts'

/** A key for the tokens in a shared store. */
export interface EncryptionKey {
  /** Names the key in what is stored, so that it can be read after keys have changed: at most 64 letters, digits, `_` and `-`. */
  readonly id: string
  /** 32 bytes, or their base64 text. */
  readonly key: Uint8Array | string
}

const KEY_LENGTH = 32

export const tokenStore = v.custom<TokenStore>(isTokenStore, 'expected a token store: an object with get, set and delete, as redisTokenStore(client) makes one')

/** Keys for AES-256-GCM, as bytes. Messages never hold one. */
export const encryptionKeys = v.pipe(v.array(v.strictObject({
  id: v.pipe(v.string(), v.regex(/^[\w-]{1,64}$/, 'expected at most 64 letters, digits, "_" and "-"')),
  key: v.pipe(v.custom<Uint8Array | string>(value => bytesOf(value) !== undefined, `expected ${KEY_LENGTH} bytes, or their base64 text`), v.transform(key => bytesOf(key)!)),
})), v.minLength(1, 'expected at least one key'), v.check(keys => new Set(keys.map(({ id }) => id)).size === keys.length, 'two keys have the same id'))

/** The bytes of a key; `undefined` for what is none. */
function bytesOf (key: unknown): Uint8Array | undefined {
  const bytes = typeof key === 'string' && /^[A-Za-z0-9+/_-]+={0,2}$/.test(key) ? Buffer.from(key, 'base64') : key
  return bytes instanceof Uint8Array && bytes.length === KEY_LENGTH ? bytes : undefined
}

function isTokenStore (value: unknown): boolean {
  const { get, set, delete: del, setIfAbsent = get, ttl = get } = Object(value) as Partial<TokenStore>
  return [get, set, del, setIfAbsent, ttl].every(method => typeof method === 'function')
}
