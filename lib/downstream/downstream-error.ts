import { ConfigurationError, DownstreamTimeoutError, DownstreamUnreachableError } from '../errors.ts'

const timeouts = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT'])
const misuses = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH'])

/** What ended a call, as what its caller is told. */
export function toDownstreamError (cause: unknown, name: string): Error {
  const { code, message } = cause as { code?: string, message?: string }
  if (timeouts.has(String(code))) return new DownstreamTimeoutError(`${name} did not answer in time (${code}): check the API, or raise its timeout`, { cause })
  if (misuses.has(String(code))) return new ConfigurationError([`${name}: the request cannot be sent: ${message}`], { cause })
  if (code === 'UND_ERR_DESTROYED') return new DownstreamUnreachableError(`The call of ${name} was ended (${code}): the application is closing, or its dispatcher was destroyed`, { cause })
  return new DownstreamUnreachableError(`${name} could not be reached, or broke off (${code ?? message}): check its BaseUrl, and that it is up`, { cause })
}

/** The call as a whole, or the wait for its headers, took longer than `timeout` milliseconds. */
export function callTimeout (name: string, timeout: number): DownstreamTimeoutError {
  return new DownstreamTimeoutError(`${name} did not answer within ${timeout} ms: check the API, or raise its timeout`)
}
