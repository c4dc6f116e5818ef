import { malformedHeader } from './refusals.ts'

/** Characters of a token; Entra ID's have some 2,000. */
const MAX_TOKEN = 16_384
const NAME = 'authorization'

/**
 * The bearer token of a request; `undefined` where there is none, or the header has another scheme.
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
  return value === undefined ? undefined : tokenOf(value)
}

function tokenOf (value: string): string | undefined {
  if (!/^bearer/i.test(value.slice(0, 6))) {
    if (/^[!#$%&'*+.^_`|~0-9a-z-]+( |$)/i.test(value.slice(0, 64))) return undefined
    throw malformedHeader('the Authorization header has no scheme')
  }
  const token = value.slice(7)
  if (token.length > MAX_TOKEN) throw malformedHeader('the token is too long')
  if (value[6] !== ' ' || !/^[A-Za-z0-9._~+/-]+=*$/.test(token)) {
    // `Bearerish x` is another scheme.
    if (value[6] !== undefined && /[!#$%&'*+.^_`|~0-9a-z-]/i.test(value[6])) return undefined
    throw malformedHeader('expected one token behind Bearer')
  }
  return token
}
