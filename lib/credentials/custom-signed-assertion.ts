import { LRUCache } from 'lru-cache'
import type { Logger } from '../logger.ts'
import type { Clock } from '../tokens/clock.ts'
import type { ClientAuthentication, ClientAuthenticationContext, ClientCredential } from './client-credential.ts'
import { SharedCalls } from './shared-calls.ts'
import { MAX_LENGTH, SignedAssertion } from './signed-assertion.ts'

/** For what an assertion is wanted. */
export interface CustomSignedAssertionContext {
  /** Client id of the app: `iss` and `sub` of an assertion that it signs itself. */
  readonly clientId: string
  /** Where the assertion is sent: `aud` of one that the app signs itself. */
  readonly tokenEndpoint: string
  /** The tenant that is asked. */
  readonly tenantId: string
  /** `CustomSignedAssertionProviderData` of the credential; frozen. Default: `{}`. */
  readonly data: Readonly<Record<string, unknown>>
  /** Aborted when nobody waits any longer. */
  readonly signal: AbortSignal
}

/** Gives a signed assertion (RFC 7523): it is kept until its `exp` is near, and asked for every time where it has none. */
export type CustomSignedAssertionProvider = (context: CustomSignedAssertionContext) => Promise<string>

/** What the credential takes from the world around it. */
export interface CustomSignedAssertionServices {
  readonly clock: Clock
  readonly logger: Logger
  /** Milliseconds that one acquisition may take. */
  readonly tokenTimeout: number
}

/** A provider, and what it is called with. */
export interface CustomSignedAssertionOptions {
  /** Under which the provider was given. */
  readonly name: string
  readonly provider: CustomSignedAssertionProvider
  readonly data: Readonly<Record<string, unknown>>
}

/** How much of an acquisition a provider may take: what is left lets its deadline be told. */
const SHARE = 0.8
/** The same where an assertion is at hand that has not ended. */
const SHARE_OF_RENEWAL = 0.25
/** For how many clients, endpoints and tenants assertions are kept. */
const MAX_KEPT = 1_000

/** What a function of the application's own has signed, or has had signed. */
export class CustomSignedAssertion implements ClientCredential {
  readonly #options: CustomSignedAssertionOptions
  readonly #where: string
  readonly #services: CustomSignedAssertionServices
  readonly #calls: SharedCalls<SignedAssertion>
  readonly #kept = new LRUCache<string, SignedAssertion>({ max: MAX_KEPT })

  /** @param where path of the credential, for log lines */
  constructor (options: CustomSignedAssertionOptions, where: string, services: CustomSignedAssertionServices) {
    this.#options = options
    this.#where = where
    this.#services = services
    this.#calls = new SharedCalls(services.clock)
  }

  async authenticate (context: ClientAuthenticationContext): Promise<ClientAuthentication> {
    const { clock, logger, tokenTimeout } = this.#services
    const key = keyOf(context)
    const kept = this.#kept.get(key)
    if (kept !== undefined && !kept.isDue(clock.now())) return { clientAssertion: kept.text }

    const isUsable = kept !== undefined && !kept.hasEnded(clock.now())
    try {
      const { text } = await this.#calls.join(key, tokenTimeout * (isUsable ? SHARE_OF_RENEWAL : SHARE), context.signal, signal => this.#ask(key, context, signal))
      return { clientAssertion: text }
    } catch (error) {
      if (!isUsable || context.signal.aborted) throw error
      logger.warn({ err: error, credential: this.#where }, 'signed assertion not renewed: the one at hand is used until it ends')
      return { clientAssertion: kept.text }
    }
  }

  async reload (refused: ClientAuthentication, context: ClientAuthenticationContext): Promise<void> {
    const key = keyOf(context)
    if ('clientAssertion' in refused && refused.clientAssertion === this.#kept.get(key)?.text) this.#kept.delete(key)
  }

  async #ask (key: string, { clientId, tokenEndpoint, tenantId }: ClientAuthenticationContext, signal: AbortSignal): Promise<SignedAssertion> {
    const { name, provider, data } = this.#options
    let text: unknown
    try {
      text = await provider(Object.freeze({ clientId, tokenEndpoint, tenantId, data, signal }))
    } catch (cause) {
      // What it says may be anything, and this message goes to callers.
      throw new Error(`the provider "${name}" failed; see the cause`, { cause })
    }
    if (typeof text !== 'string' || text.trim() === '') throw new Error(`the provider "${name}" gave no text`)
    if (text.length > MAX_LENGTH) throw new Error(`the provider "${name}" gave more than ${MAX_LENGTH} characters, which is no assertion`)

    const now = this.#services.clock.now()
    const assertion = new SignedAssertion(text.trim(), now)
    if (assertion.hasEnded(now)) throw new Error(`the provider "${name}" gave an assertion that has ended`)
    if (assertion.endsOn !== undefined) this.#kept.set(key, assertion)
    return assertion
  }
}

function keyOf ({ clientId, tokenEndpoint, tenantId }: ClientAuthenticationContext): string {
  return JSON.stringify([clientId, tokenEndpoint, tenantId])
}
