import { Agent, type Dispatcher } from 'undici'
import type { ClientCredentials } from '../credentials/client-credentials.ts'
import type { Clock } from '../tokens/clock.ts'
import type { TokenRequest } from '../tokens/token-request.ts'
import type { Token } from '../tokens/token.ts'
import { acquireOnBehalfOf, acquireWithClientCredential } from './confidential-client.ts'
import { acquireWithManagedIdentity } from './managed-identity.ts'

/** The identity providers: Entra ID, and the managed identity endpoint of the platform, each over its own connections. */
export class TokenProvider {
  readonly #clock: Clock
  readonly #credentials: ClientCredentials
  readonly #entraId: Dispatcher
  /** Of its own, without a proxy: the endpoint is on this machine. */
  readonly #managedIdentity = new Agent()
  readonly #own: readonly Agent[]

  /** @param identityDispatcher carries what is sent to Entra ID; without it, the provider opens and closes its own connections */
  constructor (clock: Clock, credentials: ClientCredentials, identityDispatcher: Dispatcher | undefined) {
    const own = identityDispatcher === undefined ? [new Agent()] : []
    this.#clock = clock
    this.#credentials = credentials
    this.#entraId = identityDispatcher ?? own[0]!
    this.#own = [...own, this.#managedIdentity]
  }

  /**
   * Asks for a token, once.
   *
   * @throws TokenAcquisitionError when there is none
   */
  readonly ask = (request: TokenRequest, signal: AbortSignal): Promise<Token> => {
    const now = () => this.#clock.now()
    switch (request.flow) {
      case 'clientCredentials': return acquireWithClientCredential(request, { signal, now, dispatcher: this.#entraId, credentials: this.#credentials })
      case 'onBehalfOf': return acquireOnBehalfOf(request, { signal, now, dispatcher: this.#entraId, credentials: this.#credentials })
      case 'managedIdentity': return acquireWithManagedIdentity(request, { signal, now, dispatcher: this.#managedIdentity })
    }
  }

  async close (): Promise<void> {
    await Promise.all(this.#own.map(dispatcher => dispatcher.destroy()))
  }
}
