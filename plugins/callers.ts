import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { IdentityWebError } from '../lib/errors.ts'
import type { Caller, CallerClaims } from '../lib/inbound/caller.ts'
import type { Inbound } from '../lib/inbound/inbound.ts'
import { RouteAccess } from '../lib/inbound/route-access.ts'
import type { RouteDeclarations } from './route-declarations.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Validates the caller's token and sets `request.user`, for routes that `config.auth` does not protect; made for `@fastify/auth`. There with the option `inbound` only. */
    verifyBearer (request: FastifyRequest, reply: FastifyReply): Promise<void>
  }
  interface FastifyRequest {
    /** The claims of the caller's token, validated; null on open routes. There with the option `inbound` only. */
    user: CallerClaims | null
  }
}

const kCaller = Symbol('fastify-identity-web.caller')

interface Known extends FastifyRequest {
  [kCaller]?: Caller | undefined
}

/** Who makes the request, where that has been validated. */
export function callerOf (request: FastifyRequest): Caller | undefined {
  return (request as Known)[kCaller]
}

/** Lets a caller in to the route of a request, or calls `done` with what refuses them. */
export type AdmitCaller = (request: FastifyRequest, access: RouteAccess | undefined, done: (error?: Error) => void) => void

/** Decorates requests with their callers, and gives what lets these in. */
export function decorateCallers (fastify: FastifyInstance, inbound: Inbound, declarations: RouteDeclarations): AdmitCaller {
  fastify.decorateRequest(kCaller)
  // @fastify/jwt and @fastify/passport have it too; the last who knows the caller says who it is.
  if (!fastify.hasRequestDecorator('user')) fastify.decorateRequest('user', null)

  fastify.decorate('verifyBearer', async request => {
    const { access = RouteAccess.anybody } = declarations.of(request.routeOptions.config)
    admit(request, await inbound.callerOf(request.raw.rawHeaders), access)
  })

  return (request, access, done) => {
    // Contexts that were there before do not know the decorator.
    request.user ??= null
    if (access === undefined) return done()
    const caller = inbound.callerOf(request.raw.rawHeaders)
    if (caller instanceof Promise) {
      caller.then(caller => admit(request, caller, access)).then(() => done(), done)
    } else {
      admit(request, caller, access)
      done()
    }
  }
}

/** What refuses a caller tells how it can be cured: in the header of the answer, whatever the error handler makes of the error. */
export function sendChallenges (fastify: FastifyInstance): void {
  fastify.addHook('onError', (_request, reply: FastifyReply, error: unknown, done) => {
    const challenge = error instanceof IdentityWebError ? (error as { wwwAuthenticate?: string }).wwwAuthenticate : undefined
    if (challenge !== undefined) reply.header('www-authenticate', challenge)
    done()
  })
}

function admit (request: FastifyRequest, caller: Caller, access: RouteAccess): void {
  access.require(caller);
  (request as Known)[kCaller] = caller
  request.user = caller.claims
}
