/** Whom a token is for, as the request for it said; it is written into the token. */
export interface Tag {
  readonly flow: 'clientCredentials' | 'onBehalfOf' | 'managedIdentity'
  /** Absent for a managed identity. */
  readonly tenantId?: string
  /** The app's, or the user-assigned identity's; absent for the system-assigned one. */
  readonly clientId?: string
  /** For a managed identity, the resource. */
  readonly scope: string
  /** Whose token the app was called with; absent for a token of the app's own. */
  readonly user?: string
}

/** How long access tokens of Entra ID are, about. */
export const TOKEN_LENGTH = 1_800
const ASSERTION_LENGTH = 1_500

/** An access token that tells whom it is for; no two are equal. */
export function taggedToken (tag: Tag, serial: number): string {
  return padded(`eyJhbGciOiJub25lIn0.${encoded({ ...tag, serial })}`, TOKEN_LENGTH)
}

/** Whom a token is for. */
export function tagOf (token: string): Tag {
  const { serial: _, ...tag } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Tag & { serial: number }
  return tag
}

/** The token that a user calls the app with. */
export function assertionOf (user: string): string {
  return padded(`eyJhbGciOiJub25lIn0.${encoded({ user })}`, ASSERTION_LENGTH)
}

export function userOf (assertion: string): string {
  return (JSON.parse(Buffer.from(assertion.split('.')[1]!, 'base64url').toString()) as { user: string }).user
}

function encoded (value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** In one piece, as a token is that came over the wire. */
function padded (text: string, length: number): string {
  return Buffer.from(`${text}.`.padEnd(length, 'x')).toString('latin1')
}
