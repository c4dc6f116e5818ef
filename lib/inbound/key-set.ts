import type { JWK } from 'jose'
import type { PublishedKeys } from './signing-keys.ts'

/** Characters of the modulus of an RSA key with 2,048 bits, in base64url. */
const SMALLEST_MODULUS = 342
/** How many keys of a set are read; Entra ID has some ten. */
const MAX_KEYS = 100

/** The keys of a JWK Set (RFC 7517 section 5) that RS256 tokens may be signed with; what else is in it is passed over. */
export async function readKeySet (text: string): Promise<PublishedKeys> {
  const { keys } = Object(JSON.parse(text)) as { keys?: unknown }
  const usable = (Array.isArray(keys) ? keys : []).filter(isUsable).slice(0, MAX_KEYS)
  if (usable.length === 0) throw new Error('there is no key in the key set of the authority')
  const { importJWK } = await import('jose')
  return Promise.all(usable.map(async ({ kty, n, e, kid, issuer }) => ({
    kid,
    key: await importJWK({ kty, n, e }, 'RS256') as CryptoKey,
    issuer: typeof issuer === 'string' ? issuer : undefined,
    modulus: n,
  })))
}

type CryptoKey = PublishedKeys[number]['key']
type UsableKey = Required<Pick<JWK, 'kty' | 'n' | 'e' | 'kid'>> & { readonly issuer?: unknown }

function isUsable (key: unknown): key is UsableKey {
  const { kty, n, e, kid, use = 'sig', alg = 'RS256' } = Object(key) as Record<string, unknown>
  return kty === 'RSA' && use === 'sig' && alg === 'RS256' && isText(kid) && isText(e) && isText(n) && n.length >= SMALLEST_MODULUS
}

function isText (value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
