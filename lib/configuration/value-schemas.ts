import type { Dispatcher } from 'undici'
import * as v from 'valibot'
import { isFreeParameter, reservedParameterFault } from '../authorities/query-parameters.ts'
import { normalRegion } from '../authorities/region.ts'
import { jsonObject } from '../json-object.ts'

// What single values look like. Messages never hold the value: it may be a secret.

/** The schema, and what the option means, for the tables of the documentation. */
export const described = <const T extends v.GenericSchema>(schema: T, description: string) => v.pipe(schema, v.description(description))
/** An option that .NET has and this package has not: a fault that says so, unless it is empty or false. */
export const unsupported = (fault: string) => v.undefined(fault)

const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
// RFC 9110 section 5.5; what lies above U+00FF has no byte to be sent as.
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/
const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export const text = v.string()
export const nonEmpty = v.pipe(v.string(), v.nonEmpty('expected text that is not empty'))
/** The same in any letter case, so that it is kept in one. */
export const guidText = v.pipe(v.string(), v.regex(guid, 'expected a GUID'), v.toLowerCase())
/** An id or a domain name, never a path. */
export const tenantText = v.pipe(v.string(), v.regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i, 'expected the id or the domain name of a tenant'), v.excludes('..', 'expected the id or the domain name of a tenant'))
export const clientIdText = v.pipe(v.string(), v.regex(/^[\x21-\x2e\x30-\x7e]+$/, 'expected a client id'))
export const scopeText = v.pipe(v.string(), v.regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'expected a scope: one word of printable characters, without quotation marks and backslashes'))
export const hostText = v.pipe(v.string(), v.regex(/^([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?$/i, 'expected a host, or host:port'))
export const headerValueText = v.pipe(v.string(), v.regex(headerValue, 'a header value must not hold CR, LF, other control characters, or characters above U+00FF'))
export const headers = v.pipe(v.record(v.pipe(v.string(), v.regex(headerName, 'expected the name of a header')), headerValueText), v.check(isWithoutTwins, 'a header is there twice, in different letter case'))
export const parameters = v.record(v.string(), v.string())
/** Parameters for the query of token requests: none that OAuth gives a meaning, since the engine decides what is asked for, and as whom. */
export const tokenRequestParameters = v.pipe(v.record(v.pipe(v.string(), v.check(isFreeParameter, reservedParameterFault)), v.string()), v.check(isWithoutTwins, 'a parameter is there twice, in different letter case'))
/** A user flow or custom policy of Azure AD B2C. */
export const policyText = v.pipe(v.string(), v.regex(/^[a-z0-9_-]+$/i, 'expected the name of a policy'))
/** Kept as it is in the names of hosts. */
export const regionText = v.pipe(v.string(), v.transform(normalRegion), v.regex(/^[a-z0-9]+$/, 'expected a region, as in westus2, or TryAutoDetect'))
export const claimsText = v.pipe(v.string(), v.check(isJsonObject, 'expected a JSON object as text'))

const finite = v.pipe(v.number(), v.finite('expected a finite number'))
const queryValue = v.union([v.string(), finite, v.boolean(), v.null(), v.undefined()])
export const pathParameters = v.record(v.string(), v.union([v.string(), finite], 'expected text or a number'))
export const query = v.record(v.string(), v.union([queryValue, v.array(queryValue)], 'expected text, a number, true or false, or a list of these'))

/** A function that code gives. */
export const fn = <T>() => v.custom<T>(value => typeof value === 'function', 'expected a function')
export const dispatcher = v.custom<Dispatcher>(isDispatcher, 'expected an undici Dispatcher')
export const abortSignal = v.custom<AbortSignal>(value => value instanceof AbortSignal, 'expected an AbortSignal')
/** Milliseconds that a timer can hold. */
export const milliseconds = v.pipe(v.number(), v.integer('expected a whole number of milliseconds'), v.minValue(1, 'expected at least 1 ms'), v.maxValue(2 ** 31 - 1, 'expected at most 2,147,483,647 ms'))

function isDispatcher (value: unknown): boolean {
  return typeof (value as { dispatch?: unknown } | null | undefined)?.dispatch === 'function'
}

function isWithoutTwins (record: Record<string, string>): boolean {
  const names = Object.keys(record)
  return new Set(names.map(name => name.toLowerCase())).size === names.length
}

function isJsonObject (value: string): boolean {
  return jsonObject(value) !== undefined
}
