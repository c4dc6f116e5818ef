import { TokenAcquisitionError } from '../errors.ts'
import { pause, type Clock } from './clock.ts'

/** Who gives tokens. */
export type Provider = 'entra-id' | 'managed-identity'

/** When a failed request for a token is made again. Refusals, which are all other statuses below 500, never are. */
interface RetryRule {
  readonly statuses: readonly number[]
  /** Of one acquisition, the first included; network errors and answers without a token count like a status. */
  readonly attempts: number
  /** Milliseconds before the second attempt; doubled before every further one. `Retry-After` goes before it. */
  readonly firstDelay: number
}

/**
 * The rules, each within the deadline of the acquisition: where the next delay would outlast it, there is no further attempt.
 *
 * @see https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling
 */
export const retryRules: Readonly<Record<Provider, RetryRule>> = {
  'entra-id': { statuses: [408, 429], attempts: 3, firstDelay: 250 },
  'managed-identity': { statuses: [404, 408, 410, 429], attempts: 6, firstDelay: 500 },
}

/** Whether the same request may succeed later without any change, by the status of the answer. */
export function isTransientStatus (provider: Provider, status: number): boolean {
  return status >= 500 || retryRules[provider].statuses.includes(status)
}

export interface RetryContext {
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
  /** On {@link Clock.elapsed}: when the acquisition must have ended. */
  readonly deadline: number
  readonly signal: AbortSignal
}

/**
 * The outcome of `attempt`, made again as the rules have it.
 *
 * @throws what the last attempt threw
 */
export async function retrying<T> (provider: Provider, attempt: () => Promise<T>, { clock, random, deadline, signal }: RetryContext): Promise<T> {
  const { attempts, firstDelay } = retryRules[provider]
  for (let made = 1; made < attempts; made++) {
    try {
      return await attempt()
    } catch (error) {
      const delay = delayAfter(made, firstDelay, error, random)
      if (delay === undefined || signal.aborted || clock.elapsed() + delay >= deadline) throw error
      await pause(clock, delay, signal)
    }
  }
  return attempt()
}

/** Half of the delay is certain, the other half is chance: callers that failed together do not come back together. */
function delayAfter (made: number, firstDelay: number, error: unknown, random: () => number): number | undefined {
  if (!(error instanceof TokenAcquisitionError) || !error.retryable) return undefined
  if (error.retryAfter !== undefined) return error.retryAfter * 1000 + random() * firstDelay
  return firstDelay * 2 ** (made - 1) * (1 + random()) / 2
}
