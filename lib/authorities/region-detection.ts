import { isLinkLocalHost, isLoopbackHost } from '../local-host.ts'
import type { Logger } from '../logger.ts'
import type { GetDispatcher } from '../own-connections.ts'
import type { Clock } from '../tokens/clock.ts'
import { untilAborted } from '../until-aborted.ts'
import { getText } from './get-text.ts'
import { isRegion, normalRegion } from './region.ts'

export interface RegionDetectionOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** Without a proxy: the metadata service is on this machine. */
  readonly dispatcher: GetDispatcher
  /** Ends what is under way. */
  readonly closing: AbortSignal
}

/** The metadata service of Azure's virtual machines, unless `AZURE_POD_IDENTITY_AUTHORITY_HOST` names another place for it. */
const METADATA_ORIGIN = 'http://169.254.169.254'
const METADATA_PATH = '/metadata/instance/compute/location?api-version=2020-06-01&format=text'
/** Milliseconds that the metadata service may take. */
const LIMIT = 2_000
/** Bytes of its answer. */
const MAX_BODY = 256
/** Milliseconds after which a region that could not be detected is looked for again. */
const HOUR = 3_600_000

/**
 * The region that the process runs in: `REGION_NAME`, or else what the platform's metadata service says, which is asked once.
 *
 * @see https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service
 */
export class RegionDetection {
  readonly #options: RegionDetectionOptions
  #lookup: Promise<string | undefined> | undefined
  /** On {@link Clock.elapsed}: when a region that could not be detected is looked for again. */
  #until = Infinity

  constructor (options: RegionDetectionOptions) {
    this.#options = options
  }

  /**
   * The region; `undefined` when it cannot be detected.
   *
   * @param signal ends the wait of this caller only
   */
  async detect (signal: AbortSignal): Promise<string | undefined> {
    const named = normalRegion(process.env['REGION_NAME'] ?? '')
    if (isRegion(named)) return named

    const { clock } = this.#options
    if (this.#lookup === undefined || clock.elapsed() >= this.#until) {
      this.#until = Infinity
      this.#lookup = this.#ask()
    }
    return untilAborted(this.#lookup, signal)
  }

  /** Never rejects. */
  async #ask (): Promise<string | undefined> {
    const { clock, logger, dispatcher, closing } = this.#options
    try {
      const { status, text } = await getText(metadataUrl(), { dispatcher, clock, limit: LIMIT, maxBody: MAX_BODY, headers: { Metadata: 'true' }, signal: closing })
      const region = normalRegion(text.trim())
      if (status !== 200 || !isRegion(region)) throw new Error(`HTTP ${status} without the name of a region`)
      return region
    } catch (error) {
      this.#until = clock.elapsed() + HOUR
      if (!closing.aborted) logger.info({ err: error }, 'the region could not be detected: the global endpoint is asked')
      return undefined
    }
  }
}

/** @throws Error when the variable leads to another machine */
function metadataUrl (): string {
  const origin = process.env['AZURE_POD_IDENTITY_AUTHORITY_HOST'] || METADATA_ORIGIN
  const url = URL.canParse(METADATA_PATH, origin) ? new URL(METADATA_PATH, origin) : undefined
  if (url === undefined || url.protocol !== 'http:' || !(isLoopbackHost(url.hostname) || isLinkLocalHost(url.hostname))) throw new Error('the environment variable AZURE_POD_IDENTITY_AUTHORITY_HOST: the metadata service is http on a loopback or link-local address')
  return url.href
}
