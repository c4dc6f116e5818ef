import type { ApiConfiguration } from '../configuration/configuration.ts'
import type { Logger } from '../logger.ts'
import { isReservedHeader } from '../reserved-headers.ts'

/** The headers of a call before it has a token and a body: `Accept`, and the configured extra ones, as far as they may be sent. */
export function requestHeaders (api: ApiConfiguration, logger: Logger): Headers {
  const headers = new Headers()
  if (api.acceptHeader !== '') headers.set('accept', api.acceptHeader)

  for (const [name, value] of Object.entries(api.extraHeaderParameters)) {
    if (isReservedHeader(name)) logger.warn({ api: api.name, header: name }, 'extra header skipped: its name is reserved')
    else if (headers.has(name)) logger.warn({ api: api.name, header: name }, 'extra header skipped: the request has it already')
    else headers.set(name, value)
  }
  return headers
}
