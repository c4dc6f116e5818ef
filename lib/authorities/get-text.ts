import { boundedText } from '../bounded-text.ts'
import type { GetDispatcher } from '../own-connections.ts'
import type { Clock } from '../tokens/clock.ts'
import { untilAborted } from '../until-aborted.ts'

export interface GetTextOptions {
  readonly dispatcher: GetDispatcher
  readonly clock: Clock
  /** Milliseconds. */
  readonly limit: number
  /** Bytes of the body. */
  readonly maxBody: number
  readonly headers?: Readonly<Record<string, string>>
  /** Ends it before the limit. */
  readonly signal: AbortSignal
}

/**
 * What stands at `url`, whatever the status; a redirect is not followed.
 *
 * @throws when there is no answer, or none within the limits
 */
export async function getText (url: string, { dispatcher, clock, limit, maxBody, headers = {}, signal }: GetTextOptions): Promise<{ status: number, text: string }> {
  const deadline = new AbortController()
  const cancel = clock.after(limit, () => deadline.abort(new Error(`no answer within ${limit} ms`)))
  const ends = AbortSignal.any([signal, deadline.signal])
  try {
    return await untilAborted(exchange(url, { dispatcher, headers, signal: ends }, maxBody), ends)
  } finally {
    cancel()
  }
}

async function exchange (url: string, { dispatcher, ...options }: Pick<GetTextOptions, 'dispatcher' | 'headers' | 'signal'>, maxBody: number): Promise<{ status: number, text: string }> {
  const { request } = await import('undici')
  const { statusCode, body } = await request(url, { ...options, dispatcher: await dispatcher() })
  return { status: statusCode, text: await boundedText(body, maxBody) }
}
