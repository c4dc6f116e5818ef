import { ANY_TENANT, tenantOfIssuer } from '../authorities/openid-configuration.ts'
import { isTenantId } from '../authorities/tenants.ts'

/** {@link ANY_TENANT}, as {@link tenantOfIssuer} reads it: wherever it stands, in any letter case. */
const places = /\{tenantid\}/gi

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
    return this.isOfAnyTenant ? isTenantId(tenantId) && text === filled(this.#text, tenantId) : this.tenantId === tenantId && text === this.#text
  }

  /** Whether a key that is published for `text`, or for any tenant in it, signs for `tenantId` in this name. */
  isOfKey (text: string, tenantId: string): boolean {
    return text === this.#text || filled(text, tenantId) === filled(this.#text, tenantId)
  }
}

/** No place may stay empty: an issuer that has one is the same for all tenants. */
function filled (text: string, tenantId: string): string {
  return text.replace(places, tenantId)
}
