import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import * as v from 'valibot'
import type { DownstreamRequest, DownstreamResponse } from '../downstream/types.ts'
import { apiUrlFault } from './url-rules.ts'
import { abortSignal, claimsText, fn, guidText, headers, headerValueText, milliseconds, nonEmpty, parameters, scopeText, tenantText, text } from './value-schemas.ts'

/** May look at, and change, a request that is about to be made. */
export type RequestHook = (request: DownstreamRequest) => void | Promise<void>
type QueryValue = string | number | boolean | null | undefined

/** An option that .NET has and this package has not: a fault that says so, unless it is empty. */
const unsupported = (what: string) => v.pipe(v.undefined(`${what} are not supported`), v.description(`Not supported: ${what}.`))
const described = <const T extends v.GenericSchema>(schema: T, description: string) => v.pipe(schema, v.description(description))

export const managedIdentityOptions = v.pipe(v.partial(v.strictObject({
  /** Client id of a user-assigned identity. */
  userAssignedClientId: described(guidText, 'Client id of a user-assigned identity.'),
  /** Object id (principal id) of a user-assigned identity. */
  userAssignedObjectId: described(guidText, 'Object id (principal id) of a user-assigned identity.'),
  /** Azure resource id of a user-assigned identity. */
  userAssignedResourceId: described(v.pipe(v.string(), v.regex(/^\/subscriptions\/[^?#\s]+$/i, 'expected a resource id, which begins with /subscriptions/')), 'Azure resource id of a user-assigned identity, `/subscriptions/…`.'),
})), v.check(ids => Object.values(ids).filter(id => id !== undefined).length <= 1, 'one identity only: expected at most one of UserAssignedClientId, UserAssignedObjectId and UserAssignedResourceId'))

/** How a token is acquired. */
export const acquireTokenOptions = v.partial(v.strictObject({
  /** Acquires with a managed identity: `{}` is the system-assigned one. */
  managedIdentity: described(managedIdentityOptions, 'Acquires with a managed identity: `{}` is the system-assigned one, and one id names a user-assigned one.'),
  /** The app section to use instead of the default one. */
  authenticationOptionsName: described(nonEmpty, 'The app section to use instead of the default one.'),
  /** Tenant to ask instead of the app section's: its id or domain name. */
  tenant: described(tenantText, 'Tenant to ask instead of the app section\'s: its id or domain name.'),
  /** Claims to ask for, as JSON. Goes past the cache. */
  claims: described(claimsText, 'Claims to ask for, as JSON. Goes past the cache.'),
  /** Names the token request in the sign-in logs: a GUID. Default: a new one. */
  correlationId: described(guidText, 'Names the token request in the sign-in logs: a GUID. Default: a new one.'),
  /** Whether to go past the cache. Default: false. */
  forceRefresh: described(v.boolean(), 'Whether to go past the cache.'),
  /** Path of a federated managed identity, sent as `fmi_path`. */
  fmiPath: described(nonEmpty, 'Path of a federated managed identity, sent as `fmi_path`.'),
  /** Added to the query of the token request. */
  extraQueryParameters: described(parameters, 'Added to the query of the *token request*.'),
  /** Added to the headers of the token request. */
  extraHeadersParameters: described(headers, 'Added to the headers of the *token request*.'),
  /** Session key of a long-running process on behalf of a user. */
  longRunningWebApiSessionKey: described(nonEmpty, 'Session key of a long-running process on behalf of a user.'),
  /** Ends the wait for the token. In code only. */
  signal: described(abortSignal, 'Ends the wait for the token. In code only.'),
  popPublicKey: unsupported('proof-of-possession tokens'),
  popClaim: unsupported('proof-of-possession tokens'),
  poPConfiguration: unsupported('proof-of-possession tokens'),
  userFlow: unsupported('user flows'),
  extraParameters: unsupported('extension parameters'),
}))

/** A downstream API, and how it is called. */
export const downstreamApiOptions = v.partial(v.strictObject({
  /** Where the API is. A token is sent to this origin and below this path only. */
  baseUrl: described(v.pipe(v.string(), v.rawCheck(({ dataset, addIssue }) => {
    const fault = dataset.typed ? apiUrlFault(dataset.value) : undefined
    if (fault !== undefined) addIssue({ message: fault })
  })), 'Where the API is. A token is sent to this origin and below this path only. `https`, or `http` on loopback hosts.'),
  /** Path below `baseUrl`; may hold `{name}` for `pathParameters`, and a query. Default: ''. */
  relativePath: described(text, 'Path below `BaseUrl`; may hold `{name}` for `pathParameters`, and a query.'),
  /** Method of `callApi…`, in any letter case. Default: 'GET'. */
  httpMethod: described(v.pipe(v.string(), v.toUpperCase(), v.picklist(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'], 'expected GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS')), 'Method of `callApi…`, in any letter case. The verbs have their own.'),
  /** What the token is for, as a list or as one text split on spaces. Without scopes, the API is called without a token. Default: none. */
  scopes: described(v.array(scopeText), 'What the token is for: a list, or one text split on spaces. Without scopes, the API is called without a token.'),
  /** Whether `callApi` is made as the app rather than on behalf of the caller. Default: false. */
  requestAppToken: described(v.boolean(), 'Whether `callApi` is made as the app rather than on behalf of the caller.'),
  /** Default: 'Bearer', the only one. */
  protocolScheme: described(v.picklist(['Bearer'], 'only Bearer is supported'), 'Scheme of the `Authorization` header. Only `Bearer` is supported.'),
  /** Value of `Accept`; '' sends none. Default: 'application/json'. */
  acceptHeader: described(headerValueText, 'Value of `Accept`; empty sends none.'),
  /** Value of `Content-Type` for what is sent. Default: 'application/json'. */
  contentType: described(v.pipe(headerValueText, v.regex(/^[^\s/;]+\/[^\s/;]+(\s*;.*)?$/, 'expected a media type')), 'Value of `Content-Type` for what is sent. Text is sent as JSON where this is JSON.'),
  /** Headers to add. */
  extraHeaderParameters: described(headers, 'Headers to add. Reserved names are skipped with a warning.'),
  /** Parameters to add to the API's query. */
  extraQueryParameters: described(parameters, 'Parameters to add to the *API\'s* query.'),
  /** How the token is acquired. */
  acquireTokenOptions: described(acquireTokenOptions, 'How the token is acquired; see below.'),
  /** Milliseconds for a typed call as a whole, or until the headers of `callApi…` and streams. Default: 30 000. */
  timeout: described(milliseconds, 'Milliseconds for a typed call as a whole, or until the headers of `callApi…` and streams.'),
  /** How often an idempotent call is repeated after a network error, 429, 500, 502, 503 or 504. Default: 0. */
  retry: described(v.pipe(v.number(), v.integer('expected a whole number'), v.minValue(0, 'expected at least 0'), v.maxValue(10, 'expected at most 10')), 'How often an idempotent call is repeated after a network error, 429, 500, 502, 503 or 504.'),
  /** What a typed call gives. Default: by the media type of the answer. */
  responseType: described(v.picklist(['json', 'text', 'arrayBuffer', 'stream'], 'expected json, text, arrayBuffer or stream'), 'What a typed call gives: `json`, `text`, `arrayBuffer` or `stream`. Default: by the media type of the answer.'),
  /** Fills `{name}` in `relativePath`, one encoded segment each. */
  pathParameters: described(v.record(v.string(), v.union([v.string(), v.pipe(v.number(), v.finite('expected a finite number'))], 'expected text or a number')), 'Fills `{name}` in `relativePath`, one encoded segment each.'),
  /** Query of the call; lists repeat their key, null and undefined are left out. */
  query: described(v.custom<Record<string, QueryValue | QueryValue[]>>(isQuery, 'expected text, numbers, booleans, or lists of them'), 'Query of the call; lists repeat their key.'),
  /** Ends the call, which then rejects with the signal's reason. In code only. */
  signal: described(abortSignal, 'Ends the call, which then rejects with the signal\'s reason. In code only.'),
  /** Carries the call instead of the plugin's connections. In code only. */
  dispatcher: described(v.custom<Dispatcher>(isDispatcher, 'expected an undici Dispatcher'), 'Carries the call instead of the plugin\'s connections. In code only.'),
  /** Makes the body out of the input. In code only. */
  serializer: described(fn<(input: unknown) => string | Uint8Array | Readable | FormData | URLSearchParams | null | undefined>(), 'Makes the body out of the input. In code only.'),
  /** Makes the result of a typed call out of the answer. May be async. In code only. */
  deserializer: described(fn<(response: DownstreamResponse) => unknown>(), 'Makes the result of a typed call out of the answer. May be async. In code only.'),
  /** Runs before the token is acquired. In code only. */
  onBeforeAuthHeaderCreation: described(fn<RequestHook>(), 'Runs before the token is acquired. In code only.'),
  /** Runs when the token is in the headers. In code only. */
  onAfterAuthHeaderCreation: described(fn<RequestHook>(), 'Runs when the token is in the headers. In code only.'),
  /** Runs last, also without a token. In code only. */
  customizeHttpRequestMessage: described(fn<RequestHook>(), 'Runs last, also without a token. In code only.'),
}))

/** What an option is when it is not given; the others are absent. */
export const downstreamApiDefaults = Object.freeze({
  relativePath: '',
  httpMethod: 'GET',
  scopes: Object.freeze([]) as readonly string[],
  requestAppToken: false,
  protocolScheme: 'Bearer',
  acceptHeader: 'application/json',
  contentType: 'application/json',
  extraHeaderParameters: Object.freeze({}) as Readonly<Record<string, string>>,
  extraQueryParameters: Object.freeze({}) as Readonly<Record<string, string>>,
  acquireTokenOptions: Object.freeze({}) as AcquireTokenOptions,
  timeout: 30_000,
  retry: 0,
} as const)

type Unsupported = 'popPublicKey' | 'popClaim' | 'poPConfiguration' | 'userFlow' | 'extraParameters'
export type ManagedIdentityOptions = v.InferInput<typeof managedIdentityOptions>
export type AcquireTokenOptions = Omit<v.InferInput<typeof acquireTokenOptions>, Unsupported>
type ApiOptions = v.InferInput<typeof downstreamApiOptions>
export type DownstreamApiOptions = Omit<ApiOptions, 'baseUrl' | 'scopes' | 'acquireTokenOptions' | 'httpMethod' | 'protocolScheme'> & {
  /** Where the API is. A token is sent to this origin and below this path only. */
  baseUrl: string
  /** What the token is for, as a list or as one text split on spaces. Without scopes, the API is called without a token. Default: none. */
  scopes?: string | readonly string[] | undefined
  /** How the token is acquired. */
  acquireTokenOptions?: AcquireTokenOptions | undefined
  /** Method of `callApi…`, in any letter case. Default: 'GET'. */
  httpMethod?: string | undefined
  /** Default: 'Bearer', the only one. */
  protocolScheme?: string | undefined
}

function isQuery (value: unknown): boolean {
  const isValue = (item: unknown) => item === null || ['string', 'number', 'boolean', 'undefined'].includes(typeof item)
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every(item => Array.isArray(item) ? item.every(isValue) : isValue(item))
}

export function isDispatcher (value: unknown): boolean {
  return typeof (value as { dispatch?: unknown } | null)?.dispatch === 'function'
}
