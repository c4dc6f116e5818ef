import { SingleFlight } from '../tokens/single-flight.ts'
import { onAbort } from '../on-abort.ts'
import { untilAborted } from '../until-aborted.ts'
import { requireValid, type Certificate } from './certificate.ts'
import type { CertificateSource, CertificateWatch } from './certificate-source.ts'
import { ClientAssertions } from './client-assertion.ts'
import type { ClientAuthentication, ClientAuthenticationContext, ClientCredential } from './client-credential.ts'
import type { CredentialServices } from './create-credential.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
/** Days before the end of a certificate from which on the log warns of it. */
const WARNED_AHEAD = 30

interface Loaded {
  readonly certificate: Certificate
  readonly assertions: ClientAssertions
}

export interface CertificateCredentialOptions {
  /** Path of the credential, for log lines. */
  readonly where: string
  readonly source: CertificateSource
  readonly sendX5C: boolean
}

/**
 * A certificate that proves an app by the client assertions that it signs.
 *
 * It is loaded once for all who wait, and what works is kept: a newer one takes its place when it can be used, and not before.
 */
export class CertificateCredential implements ClientCredential {
  /** Loads it ahead of the first call, which tells what is wrong with it; absent where that would take a request. */
  readonly loadAhead: (() => Promise<void>) | undefined
  readonly #options: CertificateCredentialOptions
  readonly #services: Pick<CredentialServices, 'clock' | 'logger' | 'closed'>
  readonly #loading: SingleFlight<Loaded>
  readonly #tokenTimeout: number
  /** Which certificate has signed what: it may be another by the time that Entra ID has answered. */
  readonly #signedBy = new WeakMap<ClientAuthentication, Loaded>()
  #loaded: Loaded | undefined
  /** On {@link Clock.elapsed}. */
  #nextLook = 0
  /** Why what is newer could not be loaded, as it was logged. */
  #toldReason: string | undefined
  #toldEnd: { readonly thumbprint: string, readonly at: number } | undefined

  constructor (options: CertificateCredentialOptions, { clock, logger, tokenTimeout, closed }: Pick<CredentialServices, 'clock' | 'logger' | 'tokenTimeout' | 'closed'>) {
    this.#options = options
    this.#services = { clock, logger, closed }
    this.#tokenTimeout = tokenTimeout
    this.#loading = new SingleFlight(clock, tokenTimeout)
    this.loadAhead = options.source.isLocal ? async () => { await this.#load() } : undefined
    onAbort(closed, () => this.#loading.abortAll(closed.reason))
  }

  async authenticate (context: ClientAuthenticationContext): Promise<ClientAuthentication> {
    const loaded = await untilAborted(this.#latest(), context.signal)
    this.#tellEnd(loaded.certificate)
    const authentication = { clientAssertion: await loaded.assertions.for(context) }
    this.#signedBy.set(authentication, loaded)
    return authentication
  }

  /** What has signed `refused` may have been replaced since; else it is loaded again, since what is kept is refused, even where it looks the same. */
  async reload (refused: ClientAuthentication, { signal }: ClientAuthenticationContext): Promise<void> {
    if (this.#signedBy.get(refused) !== this.#loaded) return
    try {
      await untilAborted(this.#load(), signal)
    } catch (error) {
      this.#tell(error)
      throw error
    }
  }

  /** The certificate at hand as long as it is valid; looks whether there is a newer one. */
  async #latest (): Promise<Loaded> {
    const { clock } = this.#services
    const { source: { watch } } = this.#options
    const loaded = this.#loaded
    if (loaded === undefined || clock.now() >= loaded.certificate.validTo) return this.#load()
    if (watch === undefined || clock.elapsed() < this.#nextLook) return loaded

    this.#nextLook = clock.elapsed() + watch.interval
    const looking = this.#look(watch)
    if (!watch.inBackground) await looking
    return this.#loaded!
  }

  /** What is newer but cannot be used does not replace what works. */
  async #look ({ hasChanged, interval }: CertificateWatch): Promise<void> {
    const { clock } = this.#services
    try {
      // What could not be used may be usable by now, without having changed: a certificate that was not valid yet.
      if (this.#toldReason !== undefined || await hasChanged()) await this.#load()
      this.#toldReason = undefined
    } catch (error) {
      this.#nextLook = clock.elapsed() + Math.min(interval, MINUTE)
      this.#tell(error)
    }
  }

  #load (): Promise<Loaded> {
    return this.#loading.run('', ({ signal }) => this.#loadNow(signal), () => new Error(`it took longer than ${this.#tokenTimeout} ms`))
  }

  async #loadNow (signal: AbortSignal): Promise<Loaded> {
    const { clock } = this.#services
    const { source, sendX5C } = this.#options
    const certificate = await source.load(signal)
    // Nobody waits for it any longer, and a newer one may be there.
    signal.throwIfAborted()
    requireValid(certificate, clock.now())
    this.#loaded = { certificate, assertions: new ClientAssertions(certificate, { clock, sendX5C }) }
    // One that ends soon is looked at more often.
    const left = certificate.validTo - clock.now()
    this.#nextLook = clock.elapsed() + Math.min(source.watch?.interval ?? Infinity, Math.max(MINUTE, left / 2))
    this.#tellEnd(certificate)
    return this.#loaded
  }

  /** Tells once why what is newer is not used. */
  #tell (error: unknown): void {
    const { message } = error as Error
    if (message === this.#toldReason || this.#services.closed.aborted) return
    this.#toldReason = message
    this.#services.logger.warn({ credential: this.#options.where, err: error }, 'client certificate could not be loaded anew: the one at hand is used on')
  }

  /** Tells once a day that the certificate ends soon. */
  #tellEnd ({ validTo, thumbprint }: Certificate): void {
    const { clock, logger } = this.#services
    const days = Math.floor((validTo - clock.now()) / DAY)
    const isTold = this.#toldEnd?.thumbprint === thumbprint && clock.elapsed() - this.#toldEnd.at < DAY
    if (days >= WARNED_AHEAD || isTold) return
    this.#toldEnd = { thumbprint, at: clock.elapsed() }
    logger.warn({ credential: this.#options.where, thumbprint, days, validTo: new Date(validTo).toISOString() }, 'client certificate ends soon: renew it')
  }
}
