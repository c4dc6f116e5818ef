import { randomUUID } from 'node:crypto'
import { Refusal } from './refusal.ts'

/** What Entra ID refuses a token request for: its numbers, OAuth's names for them, and the status. */
const catalogue = {
  50013: { status: 401, error: 'invalid_client', text: 'The assertion is not valid: its signature is not of a key of its issuer.' },
  50027: { status: 401, error: 'invalid_client', text: 'The JWT is not valid.' },
  50166: { status: 401, error: 'invalid_client', text: 'The request to an external OIDC endpoint failed.' },
  70003: { status: 400, error: 'unsupported_grant_type', text: 'The grant type is not supported.' },
  70011: { status: 400, error: 'invalid_scope', text: 'The scope is not valid.' },
  70025: { status: 401, error: 'invalid_client', text: 'The client has no configured federated identity credentials.' },
  90002: { status: 400, error: 'invalid_request', text: 'The tenant was not found. No app and no identity is registered in it.' },
  500011: { status: 400, error: 'invalid_resource', text: 'The resource was not found in the tenant. Register the API, or check the scope.' },
  700016: { status: 400, error: 'unauthorized_client', text: 'The application was not found in the tenant.' },
  700021: { status: 401, error: 'invalid_client', text: 'The client assertion is of another application: its iss and sub must be the client id.' },
  700023: { status: 401, error: 'invalid_client', text: 'The audience of the client assertion is neither the token endpoint nor the issuer.' },
  700024: { status: 401, error: 'invalid_client', text: 'The client assertion is not within its valid time range.' },
  700027: { status: 401, error: 'invalid_client', text: 'The certificate with identifier used to sign the client assertion is not registered on application.' },
  700211: { status: 401, error: 'invalid_client', text: 'No matching federated identity record found for presented assertion issuer.' },
  700212: { status: 401, error: 'invalid_client', text: 'No matching federated identity record found for presented assertion audience.' },
  700213: { status: 401, error: 'invalid_client', text: 'No matching federated identity record found for presented assertion subject.' },
  900144: { status: 400, error: 'invalid_request', text: 'The request body lacks a parameter.' },
  1000502: { status: 401, error: 'invalid_client', text: 'The provided certificate is not within its specified validity period.' },
  1002012: { status: 400, error: 'invalid_scope', text: 'A client credential request takes one scope, which ends in /.default.' },
  7000214: { status: 401, error: 'invalid_client', text: 'The certificate has been revoked.' },
  7000215: { status: 401, error: 'invalid_client', text: 'The client secret is not valid.' },
  7000218: { status: 401, error: 'invalid_client', text: 'The request must contain client_secret or client_assertion.' },
  7000222: { status: 401, error: 'invalid_client', text: 'The client secret has expired.' },
  9002313: { status: 400, error: 'invalid_request', text: 'The request is malformed or invalid.' },
} as const

/** An AADSTS number that the emulator knows. */
export type AadstsCode = keyof typeof catalogue

/** A token request that Entra ID refuses. */
export class EntraRefusal extends Refusal {
  constructor (aadsts: AadstsCode, detail = '') {
    const { status, error, text } = catalogue[aadsts]
    super(status, error, detail === '' ? text : `${text} ${detail}`, [aadsts])
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
}

/**
 * The body of a refused token request.
 *
 * @param correlationId the request's own `client-request-id`, if it has one
 * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#error-response
 */
export function entraErrorBody ({ error, errorCodes, message }: Refusal, correlationId: string | undefined, now: number): EntraErrorBody {
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
  }
}
