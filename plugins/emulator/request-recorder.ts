import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { refusalOf, type Fault, type Faults } from '../../lib/emulator/faults.ts'
import { recordedAssertion, withoutSecrets, type EmulatorEndpoint, type RecordedRequest } from '../../lib/emulator/request-log.ts'
import { addressedUrl } from './addressed-url.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Which kind of endpoint of the emulator a route is. */
    emulatorEndpoint?: EmulatorEndpoint
  }
  interface FastifyRequest {
    /** What is recorded of a request to the emulator; `null` until its body is read. */
    emulatorRecord: RecordedRequest | null
  }
}

export interface RequestRecorderOptions {
  readonly requests: RecordedRequest[]
  readonly faults: Faults
}

/** Records every request, and lets it meet the fault that waits for it. */
export const requestRecorder = fp(async function requestRecorder (app: FastifyInstance, { requests, faults }: RequestRecorderOptions): Promise<void> {
  const waits = new Set<NodeJS.Timeout>()

  app.decorateRequest('emulatorRecord', null)
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => {
    done(null, Object.fromEntries(new URLSearchParams(body as string)))
  })

  app.addHook('preHandler', async (request, reply) => {
    const form = (request.body ?? {}) as Record<string, unknown>
    const record: RecordedRequest = {
      method: request.method,
      host: addressedUrl(request).host,
      path: request.url.split('?', 1)[0]!,
      endpoint: request.routeOptions.config.emulatorEndpoint ?? 'unknown',
      tenantId: (request.params as { tenantId?: string }).tenantId,
      query: withoutSecrets(request.query as object as Record<string, unknown>),
      headers: withoutSecrets(request.headers),
      body: withoutSecrets(form),
      clientAssertion: recordedAssertion(form),
      user: undefined,
      status: undefined,
    }
    requests.push(record)
    request.emulatorRecord = record

    const fault = faults.take(record)
    if (fault !== undefined) return await meet(fault, request, reply)
  })

  app.addHook('onResponse', async (request, reply) => {
    if (request.emulatorRecord !== null) request.emulatorRecord.status = reply.statusCode
  })

  app.addHook('preClose', async () => {
    for (const wait of waits) clearTimeout(wait)
  })

  async function meet (fault: Fault, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const { delay, hang, reset, status = 200, body, contentType = 'application/json', retryAfter } = fault
    if (delay !== undefined) await pause(delay)
    if (hang || reset) {
      reply.hijack()
      if (reset) request.raw.socket.destroy()
      return reply
    }
    if (retryAfter !== undefined) reply.header('retry-after', retryAfter instanceof Date ? retryAfter.toUTCString() : String(retryAfter))
    if (body !== undefined) return reply.code(status).type(contentType).send(body)

    const refusal = refusalOf(fault)
    if (refusal !== undefined) throw refusal
    return undefined
  }

  /** Ends early, never to go on, when the emulator is closed. */
  function pause (delay: number): Promise<void> {
    return new Promise(resolve => {
      const wait = setTimeout(() => { waits.delete(wait); resolve() }, delay)
      waits.add(wait)
    })
  }
})
