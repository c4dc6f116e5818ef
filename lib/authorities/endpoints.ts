import type { Logger } from '../logger.ts'
import type { GetDispatcher } from '../own-connections.ts'
import type { Clock } from '../tokens/clock.ts'
import type { Authority } from './authority.ts'
import { Discovery } from './discovery.ts'
import { AUTO_DETECT, regionalEndpoint } from './region.ts'
import { RegionDetection } from './region-detection.ts'

export interface AuthorityEndpointsOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** Gives what carries requests to authorities. */
  readonly dispatcher: GetDispatcher
  /** Gives what carries requests to the platform, without a proxy. */
  readonly platform: GetDispatcher
}

/** Where an authority is asked for tokens: what follows from its URL, what its region makes of that, or what it says itself. */
export class AuthorityEndpoints {
  readonly #closing = new AbortController()
  /** What authorities say of themselves. */
  readonly discovery: Discovery
  readonly #regions: RegionDetection

  constructor ({ clock, logger, dispatcher, platform }: AuthorityEndpointsOptions) {
    const { signal: closing } = this.#closing
    this.discovery = new Discovery({ clock, logger, dispatcher, closing })
    this.#regions = new RegionDetection({ clock, logger, dispatcher: platform, closing })
  }

  /**
   * The token endpoint for tokens of the app itself, which may be one of a region.
   *
   * @throws TokenAcquisitionError when the authority says something of itself that must not be used
   */
  async forApp (authority: Authority, signal: AbortSignal): Promise<string> {
    const { region } = authority
    if (region === undefined) return this.forUser(authority, signal)
    const name = region === AUTO_DETECT ? await this.#regions.detect(signal) : region
    return name === undefined ? authority.tokenEndpoint : regionalEndpoint(authority.tokenEndpoint, name)
  }

  /**
   * The token endpoint for tokens on behalf of users, which no region has.
   *
   * @throws TokenAcquisitionError when the authority says something of itself that must not be used
   */
  async forUser (authority: Authority, signal: AbortSignal): Promise<string> {
    const document = authority.isDiscovered ? await this.discovery.of(authority, signal) : undefined
    return document?.tokenEndpoint ?? authority.tokenEndpoint
  }

  /** Ends what is under way. */
  close (): void {
    this.#closing.abort(new Error('the application is closing'))
  }
}
