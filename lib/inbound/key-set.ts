import type { CryptoKey, JWK } from 'jose'
import type { PublishedKeys } from './signing-keys.ts'

/** Bits that RS256 demands (RFC 7518 section 3.3). */
const SMALLEST_KEY = 2048
/** How many keys of a set are read; Entra ID has some ten. */
const MAX_KEYS = 100

/**
 * The keys of a JWK Set (RFC 7517 section 5) that RS256 tokens may be signed with. What else is in it, and what cannot be read, is passed over: one bad key
 * does not keep the others from being used.
 *
 * @throws when there is none
 */
export async function readKeySet (text: string): Promise<PublishedKeys> {
  const { keys } = Object(JSON.parse(text)) as { keys?: unknown }
  const usable = (Array.isArray(keys) ? keys : []).filter(isUsable).slice(0, MAX_KEYS)
  const { importJWK } = await import('jose')
  const imported = await Promise.allSettled(usable.map(({ kty, n, e }) => importJWK({ kty, n, e }, 'RS256') as Promise<CryptoKey>))
  const published = usable.flatMap(({ kid, n, issuer }, index) => {
    const outcome = imported[index]!
    return outcome.status === 'fulfilled' && isStrong(outcome.value) ? [{ kid, key: outcome.value, issuer: typeof issuer === 'string' ? issuer : undefined, modulus: n }] : []
  })
  if (published.length === 0) throw new Error('there is no key in the key set of the authority')
  return published
}

type UsableKey = Required<Pick<JWK, 'kty' | 'n' | 'e' | 'kid'>> & { readonly issuer?: unknown }

function isUsable (key: unknown): key is UsableKey {
  const { kty, n, e, kid, use = 'sig', alg = 'RS256' } = Object(key) as Record<string, unknown>
  return kty === 'RSA' && use === 'sig' && alg === 'RS256' && isText(kid) && isText(e) && isText(n)
}

function isStrong ({ algorithm }: CryptoKey): boolean {
  return (algorithm as { modulusLength?: number }).modulusLength! >= SMALLEST_KEY
}

function isText (value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
