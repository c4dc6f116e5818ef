import { challengeUser } from '../challenges/challenge-user.ts'
import { decodeClaims } from '../challenges/claims-challenge.ts'
import { TokenAcquisitionError, IdentityWebError } from '../errors.ts'
import { retryAfterSeconds } from '../tokens/retry-after.ts'
import { isTransientStatus, type Provider } from '../tokens/retry-rules.ts'
import type { OnBehalfOfRequest } from '../tokens/token-request.ts'
import type { WireEvidence } from './network-client.ts'

// Entra ID's own word for "come again": https://learn.microsoft.com/entra/identity-platform/reference-error-codes
const transientErrors = new Set(['temporarily_unavailable', 'server_error'])
// What says that the certificate or the assertion is not accepted (any longer), while another may be: as in Microsoft.Identity.Web.
const credentialRefusals = new Set([700027, 700024, 7000214, 1000502, 7000274, 7000277])
// A success without a token refuses nothing: what answered was a proxy, or not wholly up. The names are the network client's.
const emptySuccesses = new Set(['no_access_token', 'no_valid_token', 'non_json_response'])
// What only the user can cure. MSAL takes an invalid_grant for that only with some suberrors, while an assertion that has ended has none.
const needsOfUser = new Set(['interaction_required', 'consent_required', 'login_required', 'invalid_grant'])
// An invalid_grant that no user can cure: the app exchanges a token that is for another app.
const faultsOfApp = new Set([500131])

export interface FailedAcquisition {
  readonly provider: Provider
  /** Who was asked, for the message. */
  readonly who: string
  /** Its reason is what the caller is told where the acquisition was ended from here. */
  readonly signal: AbortSignal
  readonly correlationId: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** What was asked for on behalf of a user; `undefined` where an app asked for itself. */
  readonly onBehalfOf?: Pick<OnBehalfOfRequest, 'authority' | 'scopes'> | undefined
}

/**
 * What MSAL threw, as our error. What the identity provider said is read from the wire, since MSAL drops parts of it.
 *
 * The message is safe to be answered to anybody; what the provider said in its own words, which name tenants and apps, is in the cause.
 */
export function toAcquisitionError (error: unknown, evidence: WireEvidence, { provider, who, signal, correlationId, now, onBehalfOf }: FailedAcquisition): IdentityWebError {
  if (signal.aborted && signal.reason instanceof IdentityWebError) return signal.reason

  const { status, body, failure } = evidence
  const said = {
    correlationId: text(body?.['correlation_id']) ?? correlationId,
    traceId: text(body?.['trace_id']),
    errorCodes: errorCodes(body),
    oauthError: errorName(body),
    retryAfter: retryAfterSeconds(evidence.retryAfter, now()),
    status: failure === undefined ? status : undefined,
  }
  if (failure !== undefined) {
    return new TokenAcquisitionError(`No token: ${who} could not be reached, or broke off: ${reasonOf(failure)}. Check the network, then try again`, { ...said, retryable: true }, { cause: failure })
  }
  if (status === undefined) {
    return new TokenAcquisitionError(`No token: ${who} was not asked: ${reasonOf(error)}. Correct the options of the call or the configuration: trying again will not help`, { ...said, retryable: false }, { cause: error })
  }

  const retryable = isTransient(provider, status, body)
  const cause = new Error(`${who} said: ${refusalOf(error) ?? (descriptionOf(body) || reasonOf(error))}`, { cause: error })
  if (onBehalfOf !== undefined && !retryable && needsOfUser.has(String(said.oauthError)) && !said.errorCodes.some(code => faultsOfApp.has(code))) {
    const { errorCodes, oauthError, correlationId, traceId } = said
    const claims = text(body?.['claims'])
    return challengeUser(onBehalfOf, { errorCodes, oauthError, correlationId, traceId, suberror: text(body?.['suberror']), claims: claims && decodeClaims(claims) }, { cause })
  }

  const names = [errorName(body), ...said.errorCodes.map(code => `AADSTS${code}`)].filter(Boolean).join(', ')
  const advice = retryable ? 'Try again later' : 'Correct the configuration here or the registration there: trying again will not help'
  return new TokenAcquisitionError(`No token: ${who} answered ${status}${names === '' ? '' : ` (${names})`}; see the cause for what it said. ${advice}`, { ...said, retryable }, { cause })
}

/** Whether Entra ID has refused the certificate or the assertion itself, so that one that is loaded anew may be accepted. */
export function isCredentialRefused (error: unknown): boolean {
  return error instanceof TokenAcquisitionError && error.oauthError === 'invalid_client' && error.errorCodes.some(code => credentialRefusals.has(code))
}

function isTransient (provider: Provider, status: number, body: WireEvidence['body']): boolean {
  const error = String(errorName(body))
  return isTransientStatus(provider, status) || transientErrors.has(error) || (status < 300 && emptySuccesses.has(error))
}

/** Endpoints give the error as a name, or as an object with a code. */
function errorName (body: WireEvidence['body']): string | undefined {
  const error = body?.['error']
  return text(error) ?? (typeof error === 'object' && error !== null ? text((error as Record<string, unknown>)['code']) : undefined)
}

function descriptionOf (body: WireEvidence['body']): string {
  const error = body?.['error']
  const nested = typeof error === 'object' && error !== null ? text((error as Record<string, unknown>)['message']) : undefined
  return text(body?.['error_description']) ?? text(body?.['message']) ?? nested ?? ''
}

/** Why MSAL itself did not go on with what the endpoint answered: Azure Arc's challenge names no key that may be read, for one. */
function refusalOf (error: unknown): string | undefined {
  return error instanceof Error && error.name === 'ManagedIdentityError' ? error.message : undefined
}

function reasonOf (error: unknown): string {
  const { code, message } = error as { code?: unknown, message: string }
  return text(code) ?? message
}

function text (value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** AADSTS numbers: Entra ID lists them, and managed identity endpoints pass its description on. */
function errorCodes (body: WireEvidence['body']): number[] {
  const listed = body?.['error_codes']
  if (Array.isArray(listed)) return listed.filter(item => typeof item === 'number')
  return [...new Set(Array.from(descriptionOf(body).matchAll(/AADSTS(\d+)/g), ([, code]) => Number(code)))]
}
