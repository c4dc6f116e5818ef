/** The stable `code` of every error that this package throws. */
export type IdentityWebErrorCode =
  | 'FST_IDW_CONFIG_INVALID'
  | 'FST_IDW_UNKNOWN_API'
  | 'FST_IDW_NO_AUTHORITY'
  | 'FST_IDW_CREDENTIAL_NOT_LOADED'
  | 'FST_IDW_SCOPE_NOT_DEFAULT'
  | 'FST_IDW_TENANT_REQUIRED'
  | 'FST_IDW_IDENTITY_NOT_ALLOWED'
  | 'FST_IDW_USER_TOKEN_REQUIRED'
  | 'FST_IDW_URL_NOT_ALLOWED'
  | 'FST_IDW_TOKEN_ACQUISITION_FAILED'
  | 'FST_IDW_CHALLENGE_USER'
  | 'FST_IDW_DOWNSTREAM_STATUS'
  | 'FST_IDW_DOWNSTREAM_BODY'
  | 'FST_IDW_DOWNSTREAM_UNREACHABLE'
  | 'FST_IDW_DOWNSTREAM_TIMEOUT'
  | 'FST_IDW_UNAUTHORIZED'
  | 'FST_IDW_FORBIDDEN'

/** What every error of this package has: a stable code, and the status that Fastify answers when a handler lets it escape. */
export abstract class IdentityWebError extends Error {
  abstract readonly code: IdentityWebErrorCode
  /** HTTP status that Fastify answers when a handler lets the error escape. */
  abstract readonly statusCode: number

  constructor (message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }
}

/** The configuration, an override or a route's `config` has faults: all of them are listed, in {@link faults} and in the message. */
export class ConfigurationError extends IdentityWebError {
  readonly code = 'FST_IDW_CONFIG_INVALID'
  readonly statusCode = 500
  /** One line per fault, each with its key path. Never holds a configured value that could be a secret. */
  readonly faults: readonly string[]

  constructor (faults: readonly string[], options?: ErrorOptions) {
    super(`The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map(fault => `- ${fault}`).join('\n')}`, options)
    this.faults = faults
  }
}

/** No downstream API is configured under the service name. */
export class UnknownApiError extends IdentityWebError {
  readonly code = 'FST_IDW_UNKNOWN_API'
  readonly statusCode = 500
}

/** A client credential is needed, and no app section says where and as whom to ask for a token. */
export class NoAuthorityError extends IdentityWebError {
  readonly code = 'FST_IDW_NO_AUTHORITY'
  readonly statusCode = 500
}

/** None of the configured client credentials could be loaded, which the message says in one line per credential, in order; or the token of a workload identity could not. */
export class CredentialNotLoadedError extends IdentityWebError {
  readonly code = 'FST_IDW_CREDENTIAL_NOT_LOADED'
  readonly statusCode = 500
}

/** An app token was asked for with a scope that does not end in `/.default`. */
export class ScopeNotDefaultError extends IdentityWebError {
  readonly code = 'FST_IDW_SCOPE_NOT_DEFAULT'
  readonly statusCode = 500
}

/** An app token was asked of `common`, `organizations` or `consumers`, which are not tenants. */
export class TenantRequiredError extends IdentityWebError {
  readonly code = 'FST_IDW_TENANT_REQUIRED'
  readonly statusCode = 500
}

/** The call asks for an identity that its route or section does not allow. */
export class IdentityNotAllowedError extends IdentityWebError {
  readonly code = 'FST_IDW_IDENTITY_NOT_ALLOWED'
  readonly statusCode = 500
}

/** A call on behalf of the user was made without a validated caller. */
export class UserTokenRequiredError extends IdentityWebError {
  readonly code = 'FST_IDW_USER_TOKEN_REQUIRED'
  readonly statusCode = 401
  /** Value of the header to answer with (RFC 6750 section 3). */
  readonly wwwAuthenticate = 'Bearer'
}

/** The caller cannot be let in: there is no token, or none that holds. */
export class UnauthorizedError extends IdentityWebError {
  readonly code = 'FST_IDW_UNAUTHORIZED'
  /** 401; 400 where the `Authorization` header itself is malformed, and 503 where tokens cannot be validated now. */
  readonly statusCode: 400 | 401 | 503
  /** Value of the header to answer with (RFC 6750 section 3); `undefined` with 503. */
  readonly wwwAuthenticate: string | undefined

  constructor (message: string, { statusCode, wwwAuthenticate }: { statusCode: 400 | 401 | 503, wwwAuthenticate?: string | undefined }, options?: ErrorOptions) {
    super(message, options)
    this.statusCode = statusCode
    this.wwwAuthenticate = wwwAuthenticate
  }
}

/** The caller is known, and the route is not for them; or a call on behalf of a user was asked for by an app. */
export class ForbiddenError extends IdentityWebError {
  readonly code = 'FST_IDW_FORBIDDEN'
  readonly statusCode = 403
  /** Value of the header to answer with (RFC 6750 section 3). */
  readonly wwwAuthenticate: string

  constructor (message: string, { wwwAuthenticate = 'Bearer error="insufficient_scope"' }: { wwwAuthenticate?: string } = {}, options?: ErrorOptions) {
    super(message, options)
    this.wwwAuthenticate = wwwAuthenticate
  }
}

/** The request would carry the token outside the configured origin and base path. */
export class UrlNotAllowedError extends IdentityWebError {
  readonly code = 'FST_IDW_URL_NOT_ALLOWED'
  readonly statusCode = 500
}

/** What is known of a failed acquisition beside its message. */
export interface TokenAcquisitionFailure {
  /** AADSTS numbers, as in `[7000215]`; empty when none was given. */
  errorCodes?: readonly number[] | undefined
  /** OAuth's name of the error, as in `invalid_client` (RFC 6749 section 5.2); none where there was none. */
  oauthError?: string | undefined
  /** Identifies the request in the sign-in logs of Entra ID. */
  correlationId?: string | undefined
  /** Identifies the answer on the side of Entra ID. */
  traceId?: string | undefined
  /** Seconds after which the identity provider wants to be asked again. */
  retryAfter?: number | undefined
  /** Whether the same request may succeed later without any change. */
  retryable: boolean
  /** HTTP status of the answer; none where there was no answer. */
  status?: number | undefined
}

/** Entra ID or the managed identity endpoint gave no token. */
export class TokenAcquisitionError extends IdentityWebError {
  readonly code = 'FST_IDW_TOKEN_ACQUISITION_FAILED'
  /** 503 when it may succeed later without any change, else 500. */
  readonly statusCode: 500 | 503
  readonly errorCodes: readonly number[]
  readonly oauthError: string | undefined
  readonly correlationId: string | undefined
  readonly traceId: string | undefined
  readonly retryAfter: number | undefined
  readonly retryable: boolean
  readonly status: number | undefined

  constructor (message: string, failure: TokenAcquisitionFailure, options?: ErrorOptions) {
    super(message, options)
    this.statusCode = failure.retryable ? 503 : 500
    this.errorCodes = failure.errorCodes ?? []
    this.oauthError = failure.oauthError
    this.correlationId = failure.correlationId
    this.traceId = failure.traceId
    this.retryAfter = failure.retryAfter
    this.retryable = failure.retryable
    this.status = failure.status
  }
}

/** What is known beside its message of why the user is needed. */
export interface UserChallenge {
  /** Value of the header `WWW-Authenticate` to answer with. */
  wwwAuthenticate: string
  /** What the user's next token must have, as JSON; `undefined` where nothing in particular is asked for. */
  claims?: string | undefined
  /** Of the downstream API that could not be called. */
  scopes: readonly string[]
  /** AADSTS numbers, as in `[65001]`; empty where a downstream API asks for the user. */
  errorCodes?: readonly number[] | undefined
  /** OAuth's name of the error, as in `invalid_grant`; none where a downstream API asks for the user. */
  oauthError?: string | undefined
  /** What Entra ID says beside it, as in `consent_required` or `bad_token`. */
  suberror?: string | undefined
  /** Identifies the request in the sign-in logs of Entra ID. */
  correlationId?: string | undefined
  /** Identifies the answer on the side of Entra ID. */
  traceId?: string | undefined
}

/** A call on behalf of the user needs the user: to consent, to sign in again, or to satisfy Conditional Access. */
export class ChallengeUserError extends IdentityWebError {
  readonly code = 'FST_IDW_CHALLENGE_USER'
  readonly statusCode = 401
  readonly wwwAuthenticate: string
  /** What Fastify's own error handler sends. */
  readonly headers: Readonly<Record<'www-authenticate', string>>
  readonly claims: string | undefined
  readonly scopes: readonly string[]
  readonly errorCodes: readonly number[]
  readonly oauthError: string | undefined
  readonly suberror: string | undefined
  readonly correlationId: string | undefined
  readonly traceId: string | undefined

  constructor (message: string, challenge: UserChallenge, options?: ErrorOptions) {
    super(message, options)
    this.wwwAuthenticate = challenge.wwwAuthenticate
    this.headers = { 'www-authenticate': challenge.wwwAuthenticate }
    this.claims = challenge.claims
    this.scopes = challenge.scopes
    this.errorCodes = challenge.errorCodes ?? []
    this.oauthError = challenge.oauthError
    this.suberror = challenge.suberror
    this.correlationId = challenge.correlationId
    this.traceId = challenge.traceId
  }
}

/** What a downstream API answered when its status was not 2xx. */
export interface DownstreamFailure {
  readonly status: number
  readonly headers: Headers
  /** At most 4,096 characters, then `... (truncated)`. */
  readonly body: string
}

/** A downstream API answered a typed call with a status outside 2xx. */
export class DownstreamStatusError extends IdentityWebError {
  readonly code = 'FST_IDW_DOWNSTREAM_STATUS'
  readonly statusCode = 502
  readonly downstream: DownstreamFailure

  constructor (message: string, downstream: DownstreamFailure, options?: ErrorOptions) {
    super(message, options)
    this.downstream = downstream
  }
}

/** The body of a downstream answer cannot be read as asked. */
export class DownstreamBodyError extends IdentityWebError {
  readonly code = 'FST_IDW_DOWNSTREAM_BODY'
  readonly statusCode = 502
}

/** The downstream API could not be reached. */
export class DownstreamUnreachableError extends IdentityWebError {
  readonly code = 'FST_IDW_DOWNSTREAM_UNREACHABLE'
  readonly statusCode = 502
}

/** The downstream API did not answer in time. */
export class DownstreamTimeoutError extends IdentityWebError {
  readonly code = 'FST_IDW_DOWNSTREAM_TIMEOUT'
  readonly statusCode = 504
}
