import type { Clock } from '../tokens/clock.ts'
import { entryName } from './entry-name.ts'
import type { FailOpenStore } from './fail-open-store.ts'

/** Milliseconds after which a process that acquires a token is no longer waited for: it may have died. */
export const LEASE = 2_000

/** Who may ask the identity provider for a token. */
export interface Lease {
  /** This process, another one which is at it, or nobody can tell. */
  readonly holder: 'us' | 'another' | 'unknown'
  /** Lets the next process ask. */
  readonly release: () => Promise<void>
}

/** Asks for the lease of a key. */
export async function takeLease (store: FailOpenStore, clock: Clock, key: string): Promise<Lease> {
  const name = entryName('lease', key)
  const end = clock.elapsed() + LEASE
  const isOurs = await store.setIfAbsent(name, '1', LEASE)
  if (isOurs !== true) return { holder: isOurs === undefined ? 'unknown' : 'another', release: async () => {} }

  return {
    holder: 'us',
    // Once it has ended, it may be another's.
    release: async () => clock.elapsed() < end ? store.delete(name) : undefined,
  }
}
