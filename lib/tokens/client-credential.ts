import { CredentialNotLoadedError } from '../errors.ts'
import type { AppConfiguration, ClientCredentialConfiguration } from '../configuration/configuration.ts'

/** What an app sends to prove itself: MSAL's name and value for it. */
export type ClientAuthentication =
  | { readonly clientSecret: string }
  | { readonly clientAssertion: string }

/** Where and as whom a client credential is about to be used. */
export interface ClientAuthenticationContext {
  readonly clientId: string
  readonly tenantId: string
  readonly tokenEndpoint: string
}

/** Something that an app can prove itself with; how it does so is its own business. */
export interface ClientCredential {
  authenticate (context: ClientAuthenticationContext): Promise<ClientAuthentication>
}

/**
 * The first of the section's client credentials that loads, in the order of the section.
 *
 * @throws CredentialNotLoadedError when none does, with one line per credential
 */
export async function loadClientCredential (app: AppConfiguration): Promise<ClientCredential> {
  const reasons: string[] = []
  for (const [index, configuration] of app.clientCredentials.entries()) {
    const credential = configuration.skip ? 'it is skipped' : load(configuration)
    if (typeof credential !== 'string') return credential
    reasons.push(`- ${app.name}.ClientCredentials[${index}] (${configuration.sourceType}): ${credential}`)
  }
  throw new CredentialNotLoadedError(`No client credential of the section "${app.name}" could be loaded:\n${reasons.join('\n')}`)
}

/** The credential, or the reason why there is none. */
function load (configuration: ClientCredentialConfiguration): ClientCredential | string {
  switch (configuration.sourceType) {
    case 'ClientSecret': {
      const { clientSecret } = configuration
      return { authenticate: async () => ({ clientSecret }) }
    }
    default:
      return 'this version does not serve the source type'
  }
}
