import { LRUCache } from 'lru-cache'
import { TokenAcquisitionError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { GetDispatcher } from '../own-connections.ts'
import type { Clock } from '../tokens/clock.ts'
import { untilAborted } from '../until-aborted.ts'
import { getText } from './get-text.ts'
import { OpenIdConfigurationFault, openIdConfigurationUrl, readOpenIdConfiguration, type DescribedAuthority, type OpenIdConfiguration, type TokenVersion } from './openid-configuration.ts'

export interface DiscoveryOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly dispatcher: GetDispatcher
  /** Ends what is under way. */
  readonly closing: AbortSignal
}

/** What was found out of an authority. */
interface Finding {
  /** `undefined` where it has no OpenID configuration. */
  readonly document: OpenIdConfiguration | undefined
  /** Why its OpenID configuration must not be used. */
  readonly fault: OpenIdConfigurationFault | undefined
  /** On {@link Clock.elapsed}: when it is looked for again. */
  readonly until: number
}

/** Milliseconds for which a document, or an answer that there is none, holds. */
const DAY = 24 * 3_600_000
/** Milliseconds after which an authority that failed, or has a document that must not be used, is asked again. */
const MINUTE = 60_000
/** Milliseconds that the authority may take. */
const LIMIT = 3_000
/** Bytes of a document; Entra ID's has 2,000. */
const MAX_BODY = 128 * 1024
/** How many authorities are remembered. */
const MAX_REMEMBERED = 1_000

/**
 * The OpenID configurations of authorities, each asked for once by all who want it, and renewed in the background when it is a day old.
 * The last good one is kept where that fails.
 */
export class Discovery {
  readonly #options: DiscoveryOptions
  readonly #findings = new LRUCache<string, Finding>({ max: MAX_REMEMBERED })
  readonly #lookups = new Map<string, Promise<Finding>>()

  constructor (options: DiscoveryOptions) {
    this.#options = options
  }

  /**
   * The authority's OpenID configuration; `undefined` where it has none, or cannot be asked now.
   *
   * @param signal ends the wait of this caller only
   * @throws TokenAcquisitionError when the document must not be used
   */
  async of (authority: DescribedAuthority, signal: AbortSignal, version?: TokenVersion): Promise<OpenIdConfiguration | undefined> {
    const url = openIdConfigurationUrl(authority, version)
    const known = this.#findings.get(url)
    const isDue = known === undefined || this.#options.clock.elapsed() >= known.until
    const lookup = isDue ? this.#lookUp(url, authority, known) : undefined
    const mustWait = lookup !== undefined && (known === undefined || known.fault !== undefined)
    const { document, fault } = mustWait ? await untilAborted(lookup, signal) : known!
    if (fault !== undefined) throw refusal(url, fault)
    return document
  }

  /** Never rejects. */
  #lookUp (url: string, authority: DescribedAuthority, before: Finding | undefined): Promise<Finding> {
    const running = this.#lookups.get(url)
    if (running !== undefined) return running
    const lookup = this.#ask(url, authority, before).then(finding => {
      this.#findings.set(url, finding)
      this.#lookups.delete(url)
      return finding
    })
    this.#lookups.set(url, lookup)
    return lookup
  }

  async #ask (url: string, authority: DescribedAuthority, before: Finding | undefined): Promise<Finding> {
    const { clock, logger, dispatcher, closing } = this.#options
    const later = (delay: number) => clock.elapsed() + delay
    const kept = { document: before?.document, fault: undefined }
    try {
      const { status, text } = await getText(url, { dispatcher, clock, limit: LIMIT, maxBody: MAX_BODY, signal: closing })
      if (isPassing(status)) throw new Error(`HTTP ${status}`)
      const document = status === 200 ? readOpenIdConfiguration(text, authority) : undefined
      if (document === undefined && kept.document !== undefined) throw new Error(`HTTP ${status} without an OpenID configuration`)
      if (document === undefined && before === undefined) logger.debug({ url, status }, 'the authority has no OpenID configuration: its endpoints are those that follow from its URL')
      return document === undefined ? { ...kept, until: later(DAY) } : { document, fault: undefined, until: later(DAY) }
    } catch (error) {
      if (closing.aborted) return { ...kept, until: 0 }
      const isFault = error instanceof OpenIdConfigurationFault
      if (kept.document !== undefined) logger.warn({ err: error, url }, 'the OpenID configuration could not be renewed: the last one is used')
      else if (isFault) return { document: undefined, fault: error, until: later(MINUTE) }
      else if (before === undefined) logger.debug({ err: error, url }, 'the OpenID configuration could not be fetched: the endpoints are those that follow from the URL of the authority')
      return { ...kept, until: later(MINUTE) }
    }
  }
}

function refusal (url: string, fault: OpenIdConfigurationFault): TokenAcquisitionError {
  const cause = new Error(`the OpenID configuration is at ${url}`, { cause: fault })
  return new TokenAcquisitionError(`No token: the OpenID configuration of the authority must not be used, since ${fault.message}. Correct Instance, TenantId and KnownAuthorities: trying again will not help`, { retryable: false }, { cause })
}

/** Whether a status says nothing of the document: what fails by time, by load or within the authority is to be asked again soon. */
function isPassing (status: number): boolean {
  return status >= 500 || status === 408 || status === 429
}
