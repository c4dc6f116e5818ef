import type { FastifySchema, RouteOptions } from 'fastify'
import { authorityUrl } from '../lib/authorities/authority.ts'
import type { InboundConfiguration } from '../lib/inbound/inbound-configuration.ts'
import type { RouteAccess } from '../lib/inbound/route-access.ts'

/** What the transform of `@fastify/swagger` is given. */
export interface OpenApiTransformInput {
  readonly schema: FastifySchema
  readonly url: string
  readonly route: RouteOptions
  /** The document that is being made, where it is one of OpenAPI 3. */
  readonly openapiObject?: unknown
}

interface Transformed { readonly schema: FastifySchema, readonly url: string }
type Transform<I> = (input: I) => Transformed

/** What a document says of a route. */
interface RouteSecurity {
  readonly scopes: readonly string[]
  readonly scheme: OAuth2Scheme
}

/** @see https://spec.openapis.org/oas/v3.0.3#security-scheme-object */
interface OAuth2Scheme {
  readonly type: 'oauth2'
  readonly flows: { readonly authorizationCode: { readonly authorizationUrl: string, readonly tokenUrl: string, readonly scopes: Record<string, string> } }
}

const NAME = 'entraId'
const securityOf = new WeakMap<RouteOptions, RouteSecurity>()

/**
 * The `transform` of `@fastify/swagger` that shows who may call each route: the security scheme, the scopes, and the answers 401 and 403.
 *
 * @param next another transform, which runs first, as that of a type provider
 */
export function openApiTransform<I extends OpenApiTransformInput = OpenApiTransformInput> (next: Transform<I> = ({ schema, url }) => ({ schema, url })): Transform<I> {
  return input => {
    const transformed = next(input)
    const security = securityOf.get(input.route)
    const { openapiObject } = input as { openapiObject?: { components?: { securitySchemes?: Record<string, unknown> } } }
    if (security === undefined || openapiObject === undefined) return transformed

    const components = (openapiObject.components ??= {})
    const schemes = (components.securitySchemes = { ...components.securitySchemes })
    schemes[NAME] = withScopes((schemes[NAME] ?? security.scheme) as Partial<OAuth2Scheme>, security.scheme)
    return { ...transformed, schema: withSecurity(transformed.schema, security) }
  }
}

/** Notes who may call a route, for {@link openApiTransform}. */
export function noteSecurity (route: RouteOptions, access: RouteAccess, { authority, audiences }: InboundConfiguration): void {
  const resource = [...audiences].find(audience => URL.canParse(audience)) ?? [...audiences][0]!
  const scopes = access.scopes.map(scope => `${resource.replace(/\/+$/, '')}/${scope}`)
  const base = `${authorityUrl(authority)}oauth2/v2.0/`
  securityOf.set(route, {
    scopes,
    scheme: { type: 'oauth2', flows: { authorizationCode: { authorizationUrl: `${base}authorize`, tokenUrl: `${base}token`, scopes: Object.fromEntries(scopes.map((scope, index) => [scope, access.scopes[index]!])) } } },
  })
}

/** A scheme with the scopes of another, where it has such a flow: the application may describe the scheme itself, in whatever way. */
function withScopes (scheme: Partial<OAuth2Scheme>, { flows }: OAuth2Scheme): Partial<OAuth2Scheme> {
  const flow = scheme.flows?.authorizationCode
  if (flow === undefined) return scheme
  return { ...scheme, flows: { ...scheme.flows, authorizationCode: { ...flow, scopes: { ...flows.authorizationCode.scopes, ...flow.scopes } } } }
}

/** What the route says of its own goes before it. One scope of several is enough: each is an alternative of its own. */
function withSecurity (schema: FastifySchema | undefined, { scopes }: RouteSecurity): FastifySchema {
  const alternatives = scopes.length > 0 ? scopes.map(scope => ({ [NAME]: [scope] })) : [{ [NAME]: [] }]
  const { response } = (schema ?? {}) as { response?: object }
  const refusals = { 401: { description: 'There is no token, or none that holds' }, 403: { description: 'The caller may not do this' } }
  return { security: alternatives, ...schema, response: { ...refusals, ...response ?? { 200: { description: 'Default Response' } } } } as FastifySchema
}
