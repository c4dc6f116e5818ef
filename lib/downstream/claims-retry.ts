import { challengeUser } from '../challenges/challenge-user.ts'
import { claimsChallenge } from '../challenges/claims-challenge.ts'
import type { ChallengeUserError } from '../errors.ts'
import { isOfUser, prepare, type PreparedRequest } from '../tokens/token-request.ts'
import { headerValues } from './answer-headers.ts'
import type { Exchange } from './exchange.ts'
import { canBeSentOnce } from './request-body.ts'

/** What has been sent, and what for. */
interface Attempt {
  /** What the token was asked for with; `undefined` for a call without one. */
  readonly token: PreparedRequest | undefined
  /** Whether the call was challenged before. */
  readonly isRetry: boolean
  readonly content: unknown
  readonly wireBody: unknown
}

/** What an answer with status 401 makes of a call. */
export type ClaimsRetry =
  /** The answer is the outcome. */
  | { readonly kind: 'none' }
  /** The call is made again, with what the challenge asks for. */
  | { readonly kind: 'now', readonly token: PreparedRequest }
  /** The body is gone, so that the answer is the outcome; the next call shall have what the challenge asks for. */
  | { readonly kind: 'next call', readonly token: PreparedRequest }
  /** A new token was not enough: the user must do something. */
  | { readonly kind: 'user', readonly error: ChallengeUserError }

const none: ClaimsRetry = Object.freeze({ kind: 'none' })

/** Decides what comes after a 401: a claims challenge is met with a new token, once. */
export function claimsRetry ({ status, headers }: Pick<Exchange, 'status' | 'headers'>, api: string, { token, isRetry, content, wireBody }: Attempt): ClaimsRetry {
  if (token === undefined) return none
  const claims = claimsChallenge(status, headerValues(headers)['www-authenticate'])
  if (claims === undefined) return none

  const { request } = token
  if (!isRetry) return { kind: canBeSentOnce(content, wireBody) ? 'next call' : 'now', token: prepare({ ...request, claims }, api) }
  if (!isOfUser(request)) return none
  return { kind: 'user', error: challengeUser(request, { claims }, { cause: new Error(`${api} answered ${status} with a claims challenge to a token that was acquired for its claims`) }) }
}
