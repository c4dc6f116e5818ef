import { randomUUID } from 'node:crypto'
import { Refusal } from './refusal.ts'

interface CatalogueEntry {
  readonly status: number
  readonly error: string
  /** What the client may do about it. */
  readonly suberror?: string
  readonly text: string
}

/** What Entra ID refuses a token request for: its numbers, OAuth's names for them, and the status. */
const catalogue = {
  28000: { status: 400, error: 'invalid_request', text: 'The scope is not valid because it contains more than one resource.' },
  50013: { status: 401, error: 'invalid_client', text: 'The assertion is not valid: its signature is not of a key of its issuer.' },
  50020: { status: 400, error: 'invalid_grant', text: 'The user account does not exist in the tenant, and cannot access the application there.' },
  50027: { status: 401, error: 'invalid_client', text: 'The JWT is not valid.' },
  50057: { status: 400, error: 'invalid_grant', text: 'The user account is disabled.' },
  50076: { status: 400, error: 'interaction_required', suberror: 'basic_action', text: 'Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication.' },
  50158: { status: 400, error: 'interaction_required', suberror: 'basic_action', text: 'External security challenge not satisfied. The user must meet the authentication context.' },
  50166: { status: 401, error: 'invalid_client', text: 'The request to an external OIDC endpoint failed.' },
  50173: { status: 400, error: 'invalid_grant', suberror: 'bad_token', text: 'The grant was revoked. The user must sign in again.' },
  65001: { status: 400, error: 'invalid_grant', suberror: 'consent_required', text: 'The user or administrator has not consented to use the application.' },
  70000: { status: 400, error: 'invalid_grant', suberror: 'bad_token', text: 'The refresh token is not valid.' },
  70003: { status: 400, error: 'unsupported_grant_type', text: 'The grant type is not supported.' },
  70011: { status: 400, error: 'invalid_scope', text: 'The scope is not valid.' },
  70025: { status: 401, error: 'invalid_client', text: 'The client has no configured federated identity credentials.' },
  90002: { status: 400, error: 'invalid_request', text: 'The tenant was not found. No app and no identity is registered in it.' },
  240002: { status: 400, error: 'invalid_request', text: 'An ID token cannot be used as the assertion of the grant.' },
  500011: { status: 400, error: 'invalid_resource', text: 'The resource was not found in the tenant. Register the API, or check the scope.' },
  500131: { status: 400, error: 'invalid_grant', text: 'Assertion audience does not match the Client app presenting the assertion.' },
  500133: { status: 400, error: 'invalid_grant', text: 'Assertion is not within its valid time range.' },
  700005: { status: 400, error: 'invalid_grant', text: 'The refresh token was given to another client, or in another tenant.' },
  700016: { status: 400, error: 'unauthorized_client', text: 'The application was not found in the tenant.' },
  700021: { status: 401, error: 'invalid_client', text: 'The client assertion is of another application: its iss and sub must be the client id.' },
  700023: { status: 401, error: 'invalid_client', text: 'The audience of the client assertion is neither the token endpoint nor the issuer.' },
  700024: { status: 401, error: 'invalid_client', text: 'The client assertion is not within its valid time range.' },
  700027: { status: 401, error: 'invalid_client', text: 'The certificate with identifier used to sign the client assertion is not registered on application.' },
  700082: { status: 400, error: 'invalid_grant', suberror: 'bad_token', text: 'The refresh token has expired due to inactivity.' },
  700211: { status: 401, error: 'invalid_client', text: 'No matching federated identity record found for presented assertion issuer.' },
  700212: { status: 401, error: 'invalid_client', text: 'No matching federated identity record found for presented assertion audience.' },
  700213: { status: 401, error: 'invalid_client', text: 'No matching federated identity record found for presented assertion subject.' },
  900144: { status: 400, error: 'invalid_request', text: 'The request body lacks a parameter.' },
  1000502: { status: 401, error: 'invalid_client', text: 'The provided certificate is not within its specified validity period.' },
  1002012: { status: 400, error: 'invalid_scope', text: 'A client credential request takes one scope, which ends in /.default.' },
  7000114: { status: 400, error: 'invalid_grant', text: 'The application is not allowed to make application on-behalf-of calls: the assertion is an app\'s token.' },
  7000214: { status: 401, error: 'invalid_client', text: 'The certificate has been revoked.' },
  7000215: { status: 401, error: 'invalid_client', text: 'The client secret is not valid.' },
  7000218: { status: 401, error: 'invalid_client', text: 'The request must contain client_secret or client_assertion.' },
  7000222: { status: 401, error: 'invalid_client', text: 'The client secret has expired.' },
  9002313: { status: 400, error: 'invalid_request', text: 'The request is malformed or invalid.' },
} as const satisfies Readonly<Record<number, CatalogueEntry>>

/** An AADSTS number that the emulator knows. */
export type AadstsCode = keyof typeof catalogue

/** How a refusal differs from the catalogue, and what it asks for. */
export interface EntraRefusalOptions {
  readonly status?: number
  readonly error?: string
  /** JSON text of the claims that a sign-in of the user has to be asked for with. */
  readonly claims?: string
}

/** A token request that Entra ID refuses. */
export class EntraRefusal extends Refusal {
  readonly suberror: string | undefined
  readonly claims: string | undefined

  constructor (aadsts: AadstsCode, detail = '', options: EntraRefusalOptions = {}) {
    const { status, error, suberror, text }: CatalogueEntry = catalogue[aadsts]
    super(options.status ?? status, options.error ?? error, detail === '' ? text : `${text} ${detail}`, [aadsts])
    this.suberror = suberror
    this.claims = options.claims
  }
}

/** An error body as Entra ID writes it. */
export interface EntraErrorBody {
  readonly error: string
  readonly error_description: string
  readonly error_codes: readonly number[]
  readonly timestamp: string
  readonly trace_id: string
  readonly correlation_id: string
  readonly error_uri: string
  readonly suberror?: string
  readonly claims?: string
}

/**
 * The body of a refused token request.
 *
 * @param correlationId the request's own `client-request-id`, if it has one
 * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#error-response
 */
export function entraErrorBody (refusal: Refusal, correlationId: string | undefined, now: number): EntraErrorBody {
  const { error, errorCodes, message } = refusal
  const { suberror, claims } = refusal instanceof EntraRefusal ? refusal : {}
  const timestamp = `${new Date(now).toISOString().slice(0, 19).replace('T', ' ')}Z`
  const ids = { trace_id: randomUUID(), correlation_id: correlationId ?? randomUUID() }
  const prefix = errorCodes.length > 0 ? `AADSTS${errorCodes[0]}: ` : ''
  return {
    error,
    error_description: `${prefix}${message} Trace ID: ${ids.trace_id} Correlation ID: ${ids.correlation_id} Timestamp: ${timestamp}`,
    error_codes: errorCodes,
    timestamp,
    ...ids,
    error_uri: `https://login.microsoftonline.com/error?code=${errorCodes[0] ?? 0}`,
    ...suberror !== undefined && { suberror },
    ...claims !== undefined && { claims },
  }
}
