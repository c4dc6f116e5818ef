import { parseChallenges } from './www-authenticate.ts'

/** Characters of the parameter `claims` as it came. */
const MAX_CLAIMS = 8_192

/**
 * The claims that an API's answer asks the next token to have, as JSON text; `undefined` where it is no claims challenge.
 *
 * @param wwwAuthenticate the values of the header `WWW-Authenticate`
 * @see https://learn.microsoft.com/entra/identity-platform/claims-challenge
 */
export function claimsChallenge (status: number, wwwAuthenticate: string | readonly string[] | undefined): string | undefined {
  if (status !== 401 || wwwAuthenticate === undefined) return undefined
  const challenge = parseChallenges(wwwAuthenticate).find(({ scheme, parameters }) => scheme === 'bearer' && parameters.get('error')?.toLowerCase() === 'insufficient_claims' && parameters.has('claims'))
  return challenge && decodeClaims(challenge.parameters.get('claims')!)
}

/** Claims as Entra ID's own challenges have them: base64 of JSON in UTF-8. */
export function encodeClaims (json: string): string {
  return Buffer.from(json).toString('base64')
}

/** Claims in base64 or base64url, with or without padding, or as they are; `undefined` where they are not a JSON object, or too long. */
export function decodeClaims (given: string): string | undefined {
  const text = given.trim()
  if (text.length > MAX_CLAIMS) return undefined
  if (text.startsWith('{')) return normalClaims(text)
  return /^[\w+/-]+={0,2}$/.test(text) ? normalClaims(Buffer.from(text, 'base64')) : undefined
}

function normalClaims (text: string | Buffer): string | undefined {
  try {
    const claims: unknown = JSON.parse(typeof text === 'string' ? text : new TextDecoder('utf-8', { fatal: true }).decode(text))
    return isClaims(claims) ? JSON.stringify(claims) : undefined
  } catch {
    return undefined
  }
}

/** MSAL puts the client capabilities into what is asked of the access token, so that must be an object too (OpenID Connect Core section 5.5). */
function isClaims (value: unknown): boolean {
  return isObject(value) && (value['access_token'] === undefined || isObject(value['access_token']))
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
