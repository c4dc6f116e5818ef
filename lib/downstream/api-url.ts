import { ConfigurationError, UrlNotAllowedError } from '../errors.ts'
import type { ApiConfiguration } from '../configuration/configuration.ts'

type ApiAddress = Pick<ApiConfiguration, 'name' | 'baseUrl' | 'relativePath' | 'pathParameters' | 'query' | 'extraQueryParameters'>

/**
 * The URL of a call: `relativePath` below `baseUrl`, with its parameters filled in and the query behind it.
 * Every URL that will carry a token is made here, and passes {@link requireInsideApi} before it is used.
 *
 * @throws UrlNotAllowedError when the path would leave `baseUrl`, or a path parameter is missing
 */
export function apiUrl (api: ApiAddress): string {
  const [path = '', query] = splitOnce(api.relativePath, '?')
  requirePlainPath(api.name, path, query)

  const filled = path.replace(/^\//, '').replace(/\{([^{}]*)\}/g, (_, name: string) => pathParameter(api, name))
  const parameters = [query, ...encodedQuery(api)].filter(Boolean).join('&')
  const url = `${api.baseUrl.replace(/\/+$/, '')}/${filled}${parameters && `?${parameters}`}`
  return requireInsideApi(url, api)
}

/**
 * The gate: the URL, normalised, when it lies inside the API's origin and base path.
 *
 * @throws UrlNotAllowedError
 */
export function requireInsideApi (url: string, { name, baseUrl }: Pick<ApiAddress, 'name' | 'baseUrl'>): string {
  const base = new URL(baseUrl)
  const target = URL.canParse(url) ? new URL(url) : undefined
  const basePath = base.pathname.replace(/\/*$/, '/')
  if (target?.origin !== base.origin || !`${target.pathname}/`.startsWith(basePath) || target.username !== '' || target.password !== '') {
    throw new UrlNotAllowedError(`A call of ${name} would go outside its BaseUrl: a token is sent below ${base.origin}${basePath} only`)
  }
  return target.href
}

/**
 * The gate for a URL that a hook has changed: a path that is not the one composed here is held to the rules of `relativePath`.
 *
 * @throws UrlNotAllowedError
 */
export function requireInsideApiStill (url: string, composed: string, api: Pick<ApiAddress, 'name' | 'baseUrl'>): string {
  if (url === composed) return url
  const [path, query] = splitOnce(url, '?')
  if (path !== splitOnce(composed, '?')[0]) requirePlainPath(api.name, path.replace(/^https?:\/\/[^/\\]*\//i, ''), query)
  return requireInsideApi(url, api)
}

/** What a path may not hold, since some server or URL parser reads it as a way up or out. */
function requirePlainPath (name: string, path: string, query: string | undefined): void {
  const refuse = (why: string): never => {
    throw new UrlNotAllowedError(`The path of a call of ${name} ${why}: pass values that vary as pathParameters or query, which are encoded`)
  }
  // eslint-disable-next-line no-control-regex -- these are what is looked for
  if (/[\u0000-\u0020\u007f]/.test(path) || /[\u0000-\u001f\u007f]/.test(query ?? '')) refuse('holds white space or control characters')
  if (path.includes('#') || query?.includes('#')) refuse('holds a fragment')
  // Encoded twice counts too: servers disagree on how often they decode.
  if (/\\|%(25)*(2e|2f|5c)/i.test(path)) refuse('holds a backslash, or an encoded dot, slash or backslash')
  if (path.startsWith('//') || /^[a-z][a-z0-9+.-]*:/i.test(path)) refuse('names another origin')
  if (path.split('/').some(segment => /^\.{1,2}(;.*)?$/.test(segment))) refuse('holds a dot segment')
}

function pathParameter ({ name: api, pathParameters = {} }: ApiAddress, name: string): string {
  const value = Object.hasOwn(pathParameters, name) ? String(pathParameters[name]) : ''
  if (value === '') throw new UrlNotAllowedError(`A call of ${api} lacks the path parameter "${name}": give it a value in pathParameters`)
  if (value === '.' || value === '..') throw new UrlNotAllowedError(`The path parameter "${name}" of a call of ${api} is a dot segment`)
  return encode(value)
}

function encodedQuery ({ name, extraQueryParameters, query = {} }: ApiAddress): string[] {
  const configured = Object.entries(extraQueryParameters)
  const taken = configured.map(([key]) => key)
  const faults = Object.keys(query).filter(key => taken.includes(key))
    .map(key => `${name}.query.${key}: ExtraQueryParameters sets it already; override it there`)
  if (faults.length > 0) throw new ConfigurationError(faults)

  const given = Object.entries(query).flatMap(([key, value]) => [value].flat().map(item => [key, item] as const))
  return [...configured, ...given]
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([key, value]) => `${encode(key)}=${encode(String(value))}`)
}

/** Percent-encodes all but the unreserved characters of RFC 3986 section 2.3, as .NET does. */
function encode (value: string): string {
  return encodeURIComponent(value.toWellFormed()).replace(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

function splitOnce (text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}
