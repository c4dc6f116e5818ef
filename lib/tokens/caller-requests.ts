import { LRUCache } from 'lru-cache'
import { ForbiddenError } from '../errors.ts'
import type { Caller } from '../inbound/caller.ts'
import { UserRequests, type OnBehalfOfRequest, type PreparedRequest } from './token-request.ts'

/** How many tenants of callers are remembered. */
const MAX_TENANTS = 100

/** What one kind of call asks for on behalf of each of its callers. */
export class CallerRequests {
  readonly #like: (tenantId: string) => OnBehalfOfRequest
  readonly #api: string | undefined
  readonly #tenants = new LRUCache<string, UserRequests>({ max: MAX_TENANTS })
  /** Callers keep no requests of what one call alone asks for: they would outlive it by far. */
  #isUsedAgain = false

  /** @param like the request for any caller of a tenant */
  constructor (like: (tenantId: string) => OnBehalfOfRequest, api: string | undefined) {
    this.#like = like
    this.#api = api
  }

  /** @throws ForbiddenError when the caller is an app, which cannot be called on behalf of */
  of (caller: Caller): PreparedRequest {
    const known = caller.preparedFor(this)
    if (known !== undefined) return known
    const request = this.#prepare(caller)
    if (this.#isUsedAgain) return caller.prepare(this, request)
    this.#isUsedAgain = true
    return request
  }

  #prepare (caller: Caller): PreparedRequest {
    if (caller.kind === 'app') {
      throw new ForbiddenError('The call is made on behalf of the user, and the caller is an app with a token of its own: call the route with a user\'s token, or use a …ForApp method')
    }
    const { assertion, assertionHash, expiresOn, tenantId } = caller
    return this.#requestsOf(tenantId).of(assertion, assertionHash, expiresOn)
  }

  #requestsOf (tenantId: string): UserRequests {
    const known = this.#tenants.get(tenantId)
    if (known !== undefined) return known
    const requests = new UserRequests(this.#like(tenantId), this.#api)
    this.#tenants.set(tenantId, requests)
    return requests
  }
}
