import type { AppConfiguration } from '../configuration/configuration.ts'
import { ConfigurationError, CredentialNotLoadedError } from '../errors.ts'
import { withinLimit } from '../tokens/clock.ts'
import type { ClientAuthentication, ClientAuthenticationContext, ClientCredential } from './client-credential.ts'
import type { CredentialServices } from './create-credential.ts'
import type { SignedAssertionFile } from './signed-assertion-file.ts'

/** What an app proves itself with this time. */
export interface Proof {
  readonly authentication: ClientAuthentication
  /** Loads the credential anew where Entra ID has refused it; `undefined` where that could change nothing. */
  readonly reload: (() => Promise<void>) | undefined
}

interface ConfiguredCredential {
  /** Path of the credential, for messages. */
  readonly where: string
  readonly sourceType: string
  readonly credential: ClientCredential | undefined
}

/** What can be loaded without a request. */
const onThisMachine: ReadonlySet<string> = new Set(['Path', 'Base64Encoded'])
/** How much of the time that is left one may take where another follows. */
const SHARE = 0.5
/** The same for the last: that it gave no answer must be told before the acquisition ends as if Entra ID had given none. */
const SHARE_OF_LAST = 0.8

/**
 * The client credentials of all app sections.
 *
 * The first of a section that can be used now proves the app. Every acquisition begins with the first again: what could not be used once is not
 * given up.
 */
export class ClientCredentials {
  readonly #services: CredentialServices
  readonly #workloads = new Map<string, SignedAssertionFile>()
  readonly #configured = new WeakMap<AppConfiguration, Promise<readonly ConfiguredCredential[]>>()

  constructor (services: CredentialServices) {
    this.#services = services
  }

  /** @throws CredentialNotLoadedError when none can be used, with one line per credential */
  async prove (app: AppConfiguration, context: ClientAuthenticationContext): Promise<Proof> {
    const reasons: string[] = []
    const causes: unknown[] = []
    const configured = await this.#of(app)
    const { clock, tokenTimeout } = this.#services
    const end = clock.elapsed() + tokenTimeout
    for (const [index, { where, sourceType, credential }] of configured.entries()) {
      if (credential === undefined) {
        reasons.push(`- ${where} (${sourceType}): it is skipped`)
        continue
      }
      try {
        const isLast = configured.slice(index + 1).every(({ credential }) => credential === undefined)
        const limit = (end - clock.elapsed()) * (isLast ? SHARE_OF_LAST : SHARE)
        const authentication = await withinLimit(clock, limit, credential.authenticate(context))
        return { authentication, reload: credential.reload && (async () => { await credential.reload?.(authentication, context) }) }
      } catch (error) {
        context.signal.throwIfAborted()
        reasons.push(`- ${where} (${sourceType}): ${reasonOf(error)}`)
        causes.push(error)
      }
    }
    const cause = causes.length > 1 ? new AggregateError(causes) : causes[0]
    throw new CredentialNotLoadedError(`No client credential of the section "${app.name}" could be loaded:\n${reasons.join('\n')}`, { cause })
  }

  /**
   * Proves a workload identity, with the token that its platform has put into `tokenFile`.
   *
   * @throws CredentialNotLoadedError when there is none that can be used
   */
  async proveWorkload (tokenFile: string, context: ClientAuthenticationContext): Promise<Proof> {
    const { SignedAssertionFile } = await import('./signed-assertion-file.ts')
    const { clock, tokenTimeout } = this.#services
    const credential = this.#workloads.get(tokenFile) ?? new SignedAssertionFile(tokenFile, 'workload identity', this.#services)
    this.#workloads.set(tokenFile, credential)
    try {
      const authentication = await withinLimit(clock, tokenTimeout * SHARE_OF_LAST, credential.authenticate())
      return { authentication, reload: () => credential.reload(authentication) }
    } catch (error) {
      context.signal.throwIfAborted()
      throw new CredentialNotLoadedError(`The workload identity cannot be proved: ${(error as Error).message}`, { cause: error })
    }
  }

  /** Loads what is on this machine, and tells in the log what cannot be used. */
  async loadAhead (apps: Iterable<AppConfiguration>): Promise<void> {
    // Where there is nothing to load, the code that would do it stays out of the start too.
    const loaded = [...new Set(apps)].filter(({ clientCredentials }) => clientCredentials.some(({ sourceType, skip }) => !skip && onThisMachine.has(sourceType)))
    const configured = await Promise.all(loaded.map(app => this.#of(app)))
    await Promise.all(configured.flat().map(async ({ where, sourceType, credential }) => {
      try {
        await credential?.loadAhead?.()
      } catch (error) {
        if (!this.#services.closed.aborted) this.#services.logger.warn({ credential: where, sourceType, err: error }, 'client credential cannot be used: it is tried again when a token is needed')
      }
    }))
  }

  #of (app: AppConfiguration): Promise<readonly ConfiguredCredential[]> {
    const known = this.#configured.get(app)
    if (known !== undefined) return known
    const configured = this.#create(app)
    this.#configured.set(app, configured)
    return configured
  }

  async #create (app: AppConfiguration): Promise<readonly ConfiguredCredential[]> {
    // Loaded when one is needed first, so that importing the package stays cheap.
    const { createCredential } = await import('./create-credential.ts')
    return app.clientCredentials.map((configuration, index) => {
      const where = `${app.name}.ClientCredentials[${index}]`
      return { where, sourceType: configuration.sourceType, credential: configuration.skip ? undefined : createCredential(configuration, app, where, this.#services) }
    })
  }
}

/** In one line. */
function reasonOf (error: unknown): string {
  return error instanceof ConfigurationError ? error.faults.join('; ') : (error as Error).message
}
