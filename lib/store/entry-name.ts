import { createHash } from 'node:crypto'

/**
 * The name of what a store holds for a key. It says nothing of the token: the key, which follows from tenant, client and user assertion, or is that of a session, is hashed.
 * A version that stores something else under it must change the name.
 */
export function entryName (kind: 'token' | 'lease' | 'session', key: string): string {
  return `fastify-identity-web:v1:${kind}:${createHash('sha256').update(key).digest('base64url')}`
}
