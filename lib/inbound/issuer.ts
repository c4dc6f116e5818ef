import { ANY_TENANT, tenantOfIssuer } from '../authorities/openid-configuration.ts'
import { isTenantId } from '../authorities/tenants.ts'

/** In whose name an authority gives tokens: of one tenant, or of each in its own. */
export class Issuer {
  /** The only tenant; `undefined` where it names none, or any. */
  readonly tenantId: string | undefined
  readonly isOfAnyTenant: boolean
  readonly #text: string

  /** @param text as the OpenID configuration has it: {@link ANY_TENANT} in it stands for the token's own tenant */
  constructor (text: string) {
    const tenant = tenantOfIssuer(text)
    this.#text = text
    this.isOfAnyTenant = tenant === ANY_TENANT
    this.tenantId = this.isOfAnyTenant ? undefined : tenant
  }

  /** Whether `text` stands for this issuer, and with it for `tenantId`. */
  is (text: unknown, tenantId: string): boolean {
    return this.isOfAnyTenant ? isTenantId(tenantId) && text === this.#of(tenantId) : this.tenantId === tenantId && text === this.#text
  }

  /** Whether a key that is published for `text`, or for any tenant in it, signs for `tenantId` in this name. */
  isOfKey (text: string, tenantId: string): boolean {
    return text === this.#text || text.replace(ANY_TENANT, tenantId) === this.#of(tenantId)
  }

  #of (tenantId: string): string {
    return this.#text.replace(ANY_TENANT, tenantId)
  }
}
