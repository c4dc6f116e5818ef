import { randomUUID } from 'node:crypto'

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

/** A request that is refused. */
export class EntraRefusal extends Error {
  readonly aadsts: AadstsCode
  readonly status: number
  readonly error: string

  constructor (aadsts: AadstsCode, detail = '') {
    const { status, error, text } = catalogue[aadsts]
    super(detail === '' ? text : `${text} ${detail}`)
    this.aadsts = aadsts
    this.status = status
    this.error = error
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
export function entraErrorBody (error: string, codes: readonly number[], text: string, correlationId: string | undefined, now: number): EntraErrorBody {
  const timestamp = `${new Date(now).toISOString().slice(0, 19).replace('T', ' ')}Z`
  const ids = { trace_id: randomUUID(), correlation_id: correlationId ?? randomUUID() }
  const prefix = codes.length > 0 ? `AADSTS${codes[0]}: ` : ''
  return {
    error,
    error_description: `${prefix}${text} Trace ID: ${ids.trace_id} Correlation ID: ${ids.correlation_id} Timestamp: ${timestamp}`,
    error_codes: codes,
    timestamp,
    ...ids,
    error_uri: `https://login.microsoftonline.com/error?code=${codes[0] ?? 0}`,
  }
}
