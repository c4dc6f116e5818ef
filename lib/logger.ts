import type { BaseLogger } from 'pino'

/** Where the engine writes its log lines: a pino logger, or Fastify's `app.log` and `request.log`. */
export type Logger = Pick<BaseLogger, 'debug' | 'info' | 'warn' | 'error'>
