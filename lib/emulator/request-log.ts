import { decodeJwt, decodeProtectedHeader } from 'jose'

/** The kinds of endpoints that the emulator has. */
export type EmulatorEndpoint = 'token' | 'managed-identity' | 'discovery' | 'keys' | 'key-vault' | 'unknown'

/** A request that reached the emulator; secrets, assertions and identity headers are replaced by `***`. */
export interface RecordedRequest {
  readonly method: string
  /** The host that the client addressed: with `identityDispatcher`, the authority's own. */
  readonly host: string
  /** Without the query. */
  readonly path: string
  readonly endpoint: EmulatorEndpoint
  /** As the path has it. */
  readonly tenantId: string | undefined
  readonly query: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  /** The fields of a form; empty for a request without one. */
  readonly body: Readonly<Record<string, string>>
  /** What a client assertion says, without what it is signed with; `undefined` for a request without one. */
  readonly clientAssertion: RecordedAssertion | undefined
  /** The user whose token is asked for, as the verified assertion or the refresh token says; `undefined` for any other request. */
  user: RecordedUser | undefined
  /** Status of the answer; `undefined` while there is none. */
  status: number | undefined
}

/** A user, by the ids that Entra ID has for one. */
export interface RecordedUser {
  readonly objectId: string
  readonly tenantId: string
}

/** The readable parts of a JWT. */
export interface RecordedAssertion {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
}

const secrets = new Set(['client_secret', 'client_assertion', 'assertion', 'refresh_token', 'x-identity-header', 'authorization', 'secret'])

/** `fields` as plain text, without what was sent in confidence. */
export function withoutSecrets (fields: Readonly<Record<string, unknown>>): Record<string, string> {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries.map(([name, value]) => [name, secrets.has(name.toLowerCase()) ? '***' : String(value)]))
}

/** What the assertion in a form says; `undefined` when there is none that can be read. */
export function recordedAssertion ({ client_assertion: text }: Readonly<Record<string, unknown>>): RecordedAssertion | undefined {
  if (typeof text !== 'string') return undefined
  try {
    return { header: { ...decodeProtectedHeader(text) }, claims: decodeJwt(text) }
  } catch {
    return undefined
  }
}
