import type { Dispatcher } from 'undici'
import { Agent } from 'undici'
import { TokenAcquisitionError } from '../errors.ts'
import { acquireWithClientCredential } from '../msal/confidential-client.ts'
import { acquireWithManagedIdentity } from '../msal/managed-identity.ts'
import type { Acquisition } from '../msal/acquisition.ts'
import { SingleFlight, untilAborted } from './single-flight.ts'
import { TokenCache } from './token-cache.ts'
import { entryKey, tokenKey, type TokenRequest } from './token-request.ts'
import type { Token, TokenSource } from './token.ts'

export interface TokenEngineOptions {
  /** How many tokens are kept. */
  readonly maxEntries: number
  /** Milliseconds that one acquisition may take. */
  readonly tokenTimeout: number
  /** Carries what is sent to Entra ID; without it, the engine opens and closes its own connections. */
  readonly identityDispatcher: Dispatcher | undefined
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** How a call wants its token. */
export interface TokenWish {
  /** Goes past the token at hand, and replaces it. */
  readonly forceRefresh?: boolean | undefined
  /** Ends the wait of this caller only. */
  readonly signal?: AbortSignal | undefined
}

/** Gives the token of a request: the one at hand, or one that all who ask for it at the same time wait for together. */
export class TokenEngine {
  readonly #cache: TokenCache
  readonly #flights: SingleFlight<Token>
  readonly #now: () => number
  readonly #identityDispatcher: Dispatcher
  readonly #managedIdentityDispatcher = new Agent()
  readonly #ownDispatchers: Agent[]
  #closed = false

  constructor ({ maxEntries, tokenTimeout, identityDispatcher, now }: TokenEngineOptions) {
    this.#cache = new TokenCache(maxEntries, now)
    this.#flights = new SingleFlight(tokenTimeout, () => new TokenAcquisitionError(
      `No token: there was no answer within ${tokenTimeout} ms. Check the network, raise tokenTimeout, or try again`, { retryable: true }))
    this.#now = now
    const own = identityDispatcher === undefined ? new Agent() : undefined
    this.#identityDispatcher = identityDispatcher ?? own as Agent
    this.#ownDispatchers = own ? [own, this.#managedIdentityDispatcher] : [this.#managedIdentityDispatcher]
  }

  /**
   * @throws TokenAcquisitionError when the identity provider gives none
   * @throws the signal's own reason when the caller gives up
   */
  async token (request: TokenRequest, { forceRefresh = false, signal }: TokenWish): Promise<{ token: Token, source: TokenSource }> {
    signal?.throwIfAborted()
    const entry = entryKey(request)
    const fresh = forceRefresh || request.claims !== undefined
    const cached = fresh ? undefined : this.#cache.get(entry)
    if (cached) return { token: cached, source: 'cache' }
    if (this.#closed) throw closedError()

    // Who wants a new token must not be given one that was asked for before.
    const flight = fresh ? `fresh ${tokenKey(request)}` : entry
    const token = await untilAborted(this.#flights.run(flight, async signal => {
      const token = await acquire(request, { signal, now: this.#now, dispatcher: this.#dispatcherFor(request) })
      if (!signal.aborted) this.#cache.set(entry, token)
      return token
    }), signal)
    return { token, source: 'identity-provider' }
  }

  /** Ends what is under way, closes the engine's own connections, and forgets all tokens. */
  async close (): Promise<void> {
    this.#closed = true
    await this.#flights.abortAll(closedError())
    await Promise.all(this.#ownDispatchers.map(dispatcher => dispatcher.destroy()))
    this.#cache.clear()
  }

  #dispatcherFor (request: TokenRequest): Dispatcher {
    return request.flow === 'managedIdentity' ? this.#managedIdentityDispatcher : this.#identityDispatcher
  }
}

function acquire (request: TokenRequest, acquisition: Acquisition): Promise<Token> {
  switch (request.flow) {
    case 'clientCredentials': return acquireWithClientCredential(request, acquisition)
    case 'managedIdentity': return acquireWithManagedIdentity(request, acquisition)
  }
}

function closedError (): TokenAcquisitionError {
  return new TokenAcquisitionError('No token: the application is closing', { retryable: false })
}
