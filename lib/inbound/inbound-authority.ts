import { authorityUrl } from '../authorities/authority.ts'
import type { Discovery } from '../authorities/discovery.ts'
import { getText } from '../authorities/get-text.ts'
import { isOfCustomers, issuerHost } from '../authorities/hosts.ts'
import { ANY_TENANT, type DescribedAuthority, type TokenVersion } from '../authorities/openid-configuration.ts'
import type { Logger } from '../logger.ts'
import type { GetDispatcher } from '../own-connections.ts'
import type { Clock } from '../tokens/clock.ts'
import { isMetaTenant, isTenantId } from '../authorities/tenants.ts'
import { Issuer } from './issuer.ts'
import { readKeySet } from './key-set.ts'
import { cannotValidate } from './refusals.ts'
import { SigningKeys } from './signing-keys.ts'

export interface InboundAuthorityOptions {
  readonly authority: DescribedAuthority
  readonly discovery: Discovery
  readonly dispatcher: GetDispatcher
  readonly clock: Clock
  readonly logger: Logger
  /** Ends what is under way. */
  readonly closing: AbortSignal
}

/** Milliseconds that the authority may take to give its keys. */
const LIMIT = 3_000
/** Milliseconds for which the OpenID configuration is not looked at again. */
const ISSUER_LIFE = 60_000
/** Bytes of a key set; Entra ID's have some 15,000. */
const MAX_BODY = 256 * 1024

/** Who gives the tokens of callers: in whose name, and with which keys. */
export class InboundAuthority {
  readonly keys: SigningKeys
  readonly #options: InboundAuthorityOptions
  readonly #issuers = new Map<TokenVersion, { readonly issuer: Issuer, readonly until: number }>()

  constructor (options: InboundAuthorityOptions) {
    const { clock, logger, closing } = options
    this.#options = options
    this.keys = new SigningKeys({
      clock,
      fetch: () => this.#fetchKeys(),
      onFailure: error => {
        if (!closing.aborted) logger.warn({ err: error, authority: authorityUrl(options.authority) }, 'the keys that tokens of callers are signed with could not be fetched: the last ones are used, as long as they may be')
      },
    })
  }

  /**
   * In whose name tokens are.
   *
   * @throws UnauthorizedError with 503 when that is not known now
   */
  issuer (version: TokenVersion): Issuer | Promise<Issuer> {
    const known = this.#issuers.get(version)
    return known !== undefined && this.#options.clock.elapsed() < known.until ? known.issuer : this.#lookUp(version)
  }

  async #lookUp (version: TokenVersion): Promise<Issuer> {
    const { authority, discovery, clock, closing } = this.#options
    const document = await discovery.of(authority, closing, version).catch((cause: unknown) => { throw cannotValidate({ cause }) })
    const text = document?.issuer ?? issuerByUrl(authority, version)
    if (text === undefined) throw cannotValidate({ cause: new Error('the OpenID configuration of the authority could not be fetched') })
    const issuer = new Issuer(text)
    this.#issuers.set(version, { issuer, until: clock.elapsed() + ISSUER_LIFE })
    return issuer
  }

  async #fetchKeys () {
    const { authority, discovery, dispatcher, clock, closing } = this.#options
    const document = await discovery.of(authority, closing)
    const url = document?.jwksUri ?? `${authorityUrl(authority)}discovery/v2.0/keys`
    const { status, text } = await getText(url, { dispatcher, clock, limit: LIMIT, maxBody: MAX_BODY, signal: closing })
    if (status !== 200) throw new Error(`HTTP ${status} from ${url}`)
    return readKeySet(text)
  }
}

/** The issuer where the authority does not tell; `undefined` where it does not follow from the URL: the tenant goes by a domain name, or is one of External ID or B2C. */
function issuerByUrl ({ instance, tenantId, policy }: DescribedAuthority, version: TokenVersion): string | undefined {
  const { protocol, host, pathname } = new URL(instance)
  const tenant = isMetaTenant(tenantId) ? ANY_TENANT : isTenantId(tenantId) ? tenantId : undefined
  if (tenant === undefined || policy !== undefined || isOfCustomers(host)) return undefined
  const base = `${protocol}//${issuerHost(host, version)}${pathname}${tenant}/`
  return version === '2.0' ? `${base}v2.0` : base
}
