import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'
import type { FastifyIdentityWebOptions } from '../lib/configuration/schema.ts'
// Imported for their types too: what they add to Fastify's.
import './callers.ts'
import './identity-web.ts'
import { identityWeb } from './identity-web.ts'

export * from '../lib/public.ts'
export { openApiTransform } from './open-api.ts'
export type { OpenApiTransformInput } from './open-api.ts'
export type { FastifyIdentityWebOptions } from '../lib/configuration/schema.ts'

const plugin: FastifyPluginAsync<FastifyIdentityWebOptions> = fp(identityWeb, { name: 'fastify-identity-web', fastify: '5.x' })
export default plugin
