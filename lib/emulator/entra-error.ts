import { randomUUID } from 'node:crypto'
import { Refusal } from './refusal.ts'

/** What Entra ID refuses a token request for: its numbers, OAuth's names for them, and the status. */
const catalogue = {
  70003: { status: 400, error: 'unsupported_grant_type', text: 'The grant type is not supported.' },
  70011: { status: 400, error: 'invalid_scope', text: 'The scope is not valid.' },
  90002: { status: 400, error: 'invalid_request', text: 'The tenant was not found. No app and no identity is registered in it.' },
  500011: { status: 400, error: 'invalid_resource', text: 'The resource was not found in the tenant. Register the API, or check the scope.' },
  700016: { status: 400, error: 'unauthorized_client', text: 'The application was not found in the tenant.' },
  900144: { status: 400, error: 'invalid_request', text: 'The request body lacks a parameter.' },
  1002012: { status: 400, error: 'invalid_scope', text: 'A client credential request takes one scope, which ends in /.default.' },
  7000215: { status: 401, error: 'invalid_client', text: 'The client secret is not valid.' },
  7000218: { status: 401, error: 'invalid_client', text: 'The request must contain client_secret or client_assertion.' },
  7000222: { status: 401, error: 'invalid_client', text: 'The client secret has expired.' },
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
