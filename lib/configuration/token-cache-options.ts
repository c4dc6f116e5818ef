import * as v from 'valibot'
import type { TokenStore } from '../store/token-store.ts'

const KEY_LENGTH = 32

export const tokenStore = v.custom<TokenStore>(isTokenStore, 'expected a token store: an object with get, set and delete')

/** Keys for AES-256-GCM. Messages never hold one. */
export const encryptionKeys = v.pipe(v.array(v.strictObject({
  id: v.pipe(v.string(), v.regex(/^[\w-]{1,64}$/, 'expected at most 64 letters, digits, "_" and "-"')),
  key: v.custom<Uint8Array | string>(value => keyBytes(value) !== undefined, `expected ${KEY_LENGTH} bytes, or their base64 text`),
})), v.minLength(1, 'expected at least one key'), v.check(keys => new Set(keys.map(({ id }) => id)).size === keys.length, 'two keys have the same id'))

/** The bytes of a key; `undefined` for what is none. */
export function keyBytes (key: unknown): Uint8Array | undefined {
  const bytes = typeof key === 'string' && /^[A-Za-z0-9+/_-]+={0,2}$/.test(key) ? Buffer.from(key, 'base64') : key
  return bytes instanceof Uint8Array && bytes.length === KEY_LENGTH ? bytes : undefined
}

function isTokenStore (value: unknown): boolean {
  const store = value as Partial<TokenStore> | null | undefined
  return typeof store?.get === 'function' && typeof store.set === 'function' && typeof store.delete === 'function'
}
