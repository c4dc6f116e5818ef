import type { Dispatcher } from 'undici'
import type { Discovery } from '../authorities/discovery.ts'
import { AuthorityEndpoints } from '../authorities/endpoints.ts'
import type { ClientCredentials } from '../credentials/client-credentials.ts'
import type { Logger } from '../logger.ts'
import { OwnConnections, type GetDispatcher } from '../own-connections.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Clock } from '../tokens/clock.ts'
import type { TokenRequest } from '../tokens/token-request.ts'
import type { Token } from '../tokens/token.ts'

/** The identity providers: Entra ID, and the managed identity endpoint of the platform, each over its own connections. */
export class TokenProvider {
  readonly #clock: Clock
  readonly #credentials: ClientCredentials
  readonly #sessions: Sessions
  readonly #endpoints: AuthorityEndpoints
  readonly #entraId = new OwnConnections()
  /** Without a proxy: the endpoint is on this machine. */
  readonly #managedIdentity = new OwnConnections()
  /** Gives what carries requests to Entra ID. */
  readonly identityDispatcher: GetDispatcher

  /** @param identityDispatcher carries what is sent to Entra ID; without it, the provider opens and closes its own connections */
  constructor (clock: Clock, credentials: ClientCredentials, sessions: Sessions, identityDispatcher: Dispatcher | undefined, logger: Logger) {
    this.#clock = clock
    this.#credentials = credentials
    this.#sessions = sessions
    this.identityDispatcher = identityDispatcher === undefined ? this.#entraId.dispatcher : async () => identityDispatcher
    this.#endpoints = new AuthorityEndpoints({ clock, logger, dispatcher: this.identityDispatcher, platform: this.#managedIdentity.dispatcher })
  }

  /** What authorities say of themselves. */
  get discovery (): Discovery {
    return this.#endpoints.discovery
  }

  /**
   * Asks for a token, once.
   *
   * @throws TokenAcquisitionError when there is none
   */
  readonly ask = async (request: TokenRequest, signal: AbortSignal, replaced?: Token): Promise<Token> => {
    const now = () => this.#clock.now()
    if (request.flow === 'managedIdentity' && request.workloadIdentity === undefined) {
      const { acquireWithManagedIdentity } = await import('./managed-identity.ts')
      return acquireWithManagedIdentity(request, { signal, now, dispatcher: await this.#managedIdentity.dispatcher() }, replaced)
    }
    // Loaded when they are needed first, so that importing the package stays cheap.
    const { acquireLongRunning, acquireOnBehalfOf, acquireWithClientCredential, acquireWithWorkloadIdentity } = await import('./confidential-client.ts')
    const ofApp = { signal, now, dispatcher: await this.identityDispatcher(), credentials: this.#credentials, endpoints: this.#endpoints }
    switch (request.flow) {
      case 'clientCredentials': return acquireWithClientCredential(request, ofApp)
      case 'onBehalfOf': return acquireOnBehalfOf(request, ofApp)
      case 'longRunning': return acquireLongRunning(request, this.#sessions, ofApp, this.#clock)
      case 'managedIdentity': return acquireWithWorkloadIdentity(request, request.workloadIdentity!, ofApp)
    }
  }

  async close (): Promise<void> {
    this.#endpoints.close()
    this.#sessions.close()
    await Promise.all([this.#entraId.close(), this.#managedIdentity.close()])
  }
}
