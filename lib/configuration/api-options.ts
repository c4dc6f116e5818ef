import type { Readable } from 'node:stream'
import * as v from 'valibot'
import type { DownstreamRequest, DownstreamResponse } from '../downstream/types.ts'
import { apiUrlFault } from './url-rules.ts'
import { acquireTokenOptions, type AcquireTokenOptions } from './acquire-token-options.ts'
import { abortSignal, described, dispatcher, fn, headers, headerValueText, milliseconds, parameters, pathParameters, query, scopeText, text } from './value-schemas.ts'

/** May look at, and change, a request that is about to be made. */
export type RequestHook = (request: DownstreamRequest) => void | Promise<void>

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
  pathParameters: described(pathParameters, 'Fills `{name}` in `relativePath`, one encoded segment each.'),
  /** Query of the call; lists repeat their key, null and undefined are left out. */
  query: described(query, 'Query of the call; lists repeat their key.'),
  /** Ends the call, which then rejects with the signal's reason. In code only. */
  signal: described(abortSignal, 'Ends the call, which then rejects with the signal\'s reason. In code only.'),
  /** Carries the call instead of the plugin's connections. In code only. */
  dispatcher: described(dispatcher, 'Carries the call instead of the plugin\'s connections. In code only.'),
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
