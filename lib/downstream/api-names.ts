/**
 * The names of the configured downstream APIs. Empty, so that any name is taken; add yours to have them checked and completed:
 *
 * ```ts
 * declare module 'fastify-identity-web' {
 *   interface DownstreamApiNames { MyWebApi: true }
 * }
 * ```
 */
export interface DownstreamApiNames {}

/** A service name: one of {@link DownstreamApiNames}, or any string as long as that is empty. */
export type ApiName = keyof DownstreamApiNames extends never ? string : keyof DownstreamApiNames & string
