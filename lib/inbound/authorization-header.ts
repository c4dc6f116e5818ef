import { malformedHeader } from './refusals.ts'

/** Characters of a token; Entra ID's have some 2,000. */
export const MAX_TOKEN = 16_384
const NAME = 'authorization'
const SCHEME = 'Bearer'

/**
 * What stands behind `Bearer` in a request, not looked at yet; `undefined` where there is no `Authorization` header, or one of another scheme.
 *
 * @param headers names and values in turn, as they came: `headers` of Node's requests hides a second header
 * @throws UnauthorizedError for a header that is doubled, malformed or too long (RFC 6750 section 3.1)
 */
export function bearerToken (headers: readonly string[]): string | undefined {
  let value: string | undefined
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!
    if (name.length !== NAME.length || name.toLowerCase() !== NAME) continue
    if (value !== undefined) throw malformedHeader('there are two Authorization headers')
    value = headers[index + 1]!
  }
  if (value === undefined) return undefined
  if (value.length > MAX_TOKEN + SCHEME.length + 1) throw malformedHeader('the token is too long')
  if (value.startsWith(`${SCHEME} `)) return value.slice(SCHEME.length + 1)
  const [scheme = ''] = /^[!#$%&'*+.^_`|~0-9a-z-]+(?= |$)/i.exec(value) ?? []
  if (scheme === '') throw malformedHeader('the Authorization header has no scheme')
  return scheme.toLowerCase() === SCHEME.toLowerCase() ? value.slice(SCHEME.length + 1) : undefined
}

/** @throws UnauthorizedError for text that is no token (RFC 6750 section 2.1) */
export function requireToken (text: string): void {
  if (!/^[A-Za-z0-9._~+/-]+=*$/.test(text)) throw malformedHeader('expected one token behind Bearer')
}
