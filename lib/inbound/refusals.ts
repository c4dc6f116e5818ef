import { formatChallenge } from '../challenges/www-authenticate.ts'
import { ForbiddenError, UnauthorizedError } from '../errors.ts'

// How callers are refused: https://www.rfc-editor.org/rfc/rfc6750#section-3

/** There is no token. */
export function tokenMissing (): UnauthorizedError {
  return new UnauthorizedError('The route needs a caller, and the request has no bearer token: send one in the Authorization header', { statusCode: 401, wwwAuthenticate: 'Bearer' })
}

/** @param what is wrong with the `Authorization` header */
export function malformedHeader (what: string): UnauthorizedError {
  return new UnauthorizedError(`The Authorization header is malformed: ${what}`, { statusCode: 400, wwwAuthenticate: formatChallenge('Bearer', { error: 'invalid_request', error_description: what }) })
}

/** @param why the token does not hold; nothing of the token is in it */
export function tokenRefused (why: string, options?: ErrorOptions): UnauthorizedError {
  return new UnauthorizedError(`The token is not accepted: ${why}`, { statusCode: 401, wwwAuthenticate: formatChallenge('Bearer', { error: 'invalid_token', error_description: why }) }, options)
}

/** Nothing is known of the token: what it is to be held to is not there. */
export function cannotValidate (options?: ErrorOptions): UnauthorizedError {
  return new UnauthorizedError('The token cannot be validated now: the keys of the authority could not be fetched. Try again later', { statusCode: 503 }, options)
}

/**
 * @param why the caller may not
 * @param scopes one of which would do
 */
export function accessDenied (why: string, scopes: readonly string[] = []): ForbiddenError {
  const scope = scopes.length > 0 ? scopes.join(' ') : undefined
  return new ForbiddenError(`The caller may not do this: ${why}`, { wwwAuthenticate: formatChallenge('Bearer', { error: 'insufficient_scope', error_description: why, scope }) })
}
