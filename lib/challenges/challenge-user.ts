import { authorityUrl } from '../authorities/authority.ts'
import { ChallengeUserError, type UserChallenge } from '../errors.ts'
import type { OnBehalfOfRequest } from '../tokens/token-request.ts'
import { encodeClaims } from './claims-challenge.ts'
import { formatChallenge } from './www-authenticate.ts'

// What says that the caller's own token has ended or is not accepted, and that a new one is enough: https://learn.microsoft.com/entra/identity-platform/reference-error-codes
const refusalsOfAssertion = new Set([500133, 50013, 50173, 700082, 70000, 50057])

/** What a client has to do, by the `error` that it is told. */
const advice = {
  insufficient_claims: 'The user must sign in again and satisfy the claims of the challenge',
  invalid_token: 'The token of the user has ended or is not accepted: get a new one',
  interaction_required: 'The user must sign in or consent',
}

type Said = Omit<UserChallenge, 'wwwAuthenticate' | 'scopes'>

/**
 * The error of a call on behalf of a user that cannot be made without them. Neither its message nor its header has a word of the identity provider's.
 *
 * @param request what was asked for on behalf of the user
 * @param said what is known of why
 */
export function challengeUser ({ authority, scopes }: Pick<OnBehalfOfRequest, 'authority' | 'scopes'>, said: Said, options?: ErrorOptions): ChallengeUserError {
  const error = errorOf(said)
  const wwwAuthenticate = formatChallenge('Bearer', {
    authorization_uri: `${authorityUrl(authority)}oauth2/v2.0/authorize`,
    client_id: authority.clientId,
    error,
    error_description: advice[error],
    scope: error === 'invalid_token' ? undefined : scopes.join(' '),
    claims: said.claims === undefined ? undefined : encodeClaims(said.claims),
  })
  const codes = (said.errorCodes ?? []).map(code => `AADSTS${code}`).join(', ')
  return new ChallengeUserError(`${advice[error]}${codes === '' ? '' : ` (${codes})`}. Answer the client with the WWW-Authenticate header of this error`, { ...said, wwwAuthenticate, scopes }, options)
}

function errorOf ({ claims, errorCodes = [], suberror }: Said): keyof typeof advice {
  if (claims !== undefined) return 'insufficient_claims'
  return suberror === 'bad_token' || errorCodes.some(code => refusalsOfAssertion.has(code)) ? 'invalid_token' : 'interaction_required'
}
