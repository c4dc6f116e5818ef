import type { Identity } from './identity.ts'
import type { TokenEntry } from './token-entry.ts'
import { identityOfFlow, type TokenDescription } from './token-request.ts'
import type { TokenSource } from './token.ts'

/** What is known of one token; never the token itself, and nothing of the user. */
export interface TokenDiagnostics extends TokenDescription {
  readonly identity: Identity
  /** `acquiring`, where there is none and it is waited for; `fresh`; `due` for renewal; `renewing`; `expired`; or `failed`, where there is none. */
  readonly state: 'acquiring' | 'fresh' | 'due' | 'renewing' | 'expired' | 'failed'
  readonly expiresOn: Date | undefined
  readonly nextRenewalOn: Date | undefined
  /** Of the last acquisition or renewal, where it failed. */
  readonly lastError: { readonly code: string | undefined, readonly message: string } | undefined
  /** How often the token was given from the cache. */
  readonly hits: number
  /** How many callers waited for its acquisition beside the one who began it. */
  readonly joins: number
  readonly source: TokenSource | undefined
}

/** A request for which there is no token: it is under way, or has failed. */
export interface MissingToken {
  readonly description: TokenDescription
  readonly lastError: unknown
}

export function diagnosticsOf (known: TokenEntry | MissingToken, isUnderWay: boolean): TokenDiagnostics {
  const { description, lastError } = known
  const common = { ...description, identity: identityOfFlow[description.flow], lastError: summaryOf(lastError) }
  if (!('token' in known)) return Object.freeze({ ...common, state: isUnderWay || lastError === undefined ? 'acquiring' : 'failed', expiresOn: undefined, nextRenewalOn: undefined, hits: 0, joins: 0, source: undefined })

  const { age, token, renewOn, hits, joins, source } = known
  return Object.freeze({
    ...common,
    state: isUnderWay ? 'renewing' : age,
    expiresOn: new Date(token.expiresOn),
    nextRenewalOn: renewOn === Infinity ? undefined : new Date(renewOn),
    hits,
    joins,
    source,
  })
}

function summaryOf (error: unknown): TokenDiagnostics['lastError'] {
  if (error === undefined) return undefined
  const { code, message } = error as Error & { code?: string }
  return Object.freeze({ code, message })
}
