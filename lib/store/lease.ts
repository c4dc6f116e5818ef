import type { Clock } from '../tokens/clock.ts'
import type { Budget } from './budget.ts'
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

/** Asks for the lease of a key. One that comes when the budget has run out is released with the others. */
export async function takeLease (store: FailOpenStore, clock: Clock, key: string, budget: Budget): Promise<Lease> {
  const name = entryName('lease', key)
  const end = clock.elapsed() + LEASE
  let taken: Promise<boolean | undefined> | undefined
  const isOurs = await budget.within(() => (taken = store.setIfAbsent(name, '1', LEASE)))
  return {
    holder: isOurs === undefined ? 'unknown' : isOurs ? 'us' : 'another',
    release: async () => {
      // Once it has ended, it may be another's.
      if (await taken === true && clock.elapsed() < end) await store.delete(name)
    },
  }
}
