import * as v from 'valibot'

// What single values look like. Messages never hold the value: it may be a secret.

const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
// eslint-disable-next-line no-control-regex -- these are what is looked for
const headerValue = /^[^\u0000-\u0008\u000a-\u001f\u007f]*$/
const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export const text = v.string()
export const nonEmpty = v.pipe(v.string(), v.nonEmpty('expected text that is not empty'))
export const guidText = v.pipe(v.string(), v.regex(guid, 'expected a GUID'))
/** An id or a domain name, never a path. */
export const tenantText = v.pipe(v.string(), v.regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i, 'expected the id or the domain name of a tenant'), v.check(value => !value.includes('..'), 'expected the id or the domain name of a tenant'))
export const clientIdText = v.pipe(v.string(), v.regex(/^[\x21-\x2e\x30-\x7e]+$/, 'expected a client id'))
export const scopeText = v.pipe(v.string(), v.regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'expected a scope: one word of printable characters, without quotation marks and backslashes'))
export const hostText = v.pipe(v.string(), v.regex(/^([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?$/i, 'expected a host, or host:port'))
export const headerValueText = v.pipe(v.string(), v.regex(headerValue, 'a header value must not hold CR, LF or other control characters'))
export const headers = v.record(v.pipe(v.string(), v.regex(headerName, 'expected the name of a header')), headerValueText)
export const parameters = v.record(v.string(), v.string())
export const claimsText = v.pipe(v.string(), v.check(isJsonObject, 'expected a JSON object as text'))

/** A function that code gives. */
export const fn = <T>() => v.custom<T>(value => typeof value === 'function', 'expected a function')
export const abortSignal = v.custom<AbortSignal>(value => value instanceof AbortSignal, 'expected an AbortSignal')
/** Milliseconds that a timer can hold. */
export const milliseconds = v.pipe(v.number(), v.integer('expected a whole number of milliseconds'), v.minValue(1, 'expected at least 1 ms'), v.maxValue(2 ** 31 - 1, 'expected at most 2,147,483,647 ms'))

function isJsonObject (value: string): boolean {
  try {
    const parsed: unknown = JSON.parse(value)
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
  } catch {
    return false
  }
}
