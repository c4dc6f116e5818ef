import type { FastifyReply } from 'fastify'

/**
 * Aborted when the client goes away before it has its answer.
 *
 * Fastify's `request.signal` will not do: it is aborted when the body of the request has been read, too, and older versions have none.
 */
export function clientGone ({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController()
  const abort = () => {
    if (!raw.writableFinished) controller.abort()
  }
  if (raw.closed) abort()
  else raw.once('close', abort)
  return controller.signal
}
