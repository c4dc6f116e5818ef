import type { Discovery } from '../authorities/discovery.ts'
import type { AppConfiguration, CertificateCredentialConfiguration } from '../configuration/configuration.ts'
import type { CredentialServices } from '../credentials/create-credential.ts'
import { UserTokenRequiredError } from '../errors.ts'
import type { GetDispatcher } from '../own-connections.ts'
import { bearerToken, requireToken } from './authorization-header.ts'
import type { Caller } from './caller.ts'
import { InboundAuthority } from './inbound-authority.ts'
import type { InboundConfiguration } from './inbound-configuration.ts'
import { tokenMissing } from './refusals.ts'
import { TokenDecryption, type DecryptionCredential } from './token-decryption.ts'
import { TokenValidator } from './token-validator.ts'

export interface InboundServices extends Pick<CredentialServices, 'clock' | 'logger' | 'closed' | 'managedIdentityToken'> {
  readonly configuration: InboundConfiguration
  readonly discovery: Discovery
  readonly dispatcher: GetDispatcher
  /** How many callers are remembered. */
  readonly maxEntries: number
}

/** Callers, and how they are known. */
export class Inbound {
  readonly configuration: InboundConfiguration
  readonly #validator: TokenValidator

  constructor ({ configuration, ...services }: InboundServices) {
    const { clock, logger, closed: closing, discovery, dispatcher, maxEntries } = services
    const { authority, app } = configuration
    this.configuration = configuration
    this.#validator = new TokenValidator({
      configuration,
      authority: new InboundAuthority({ authority, discovery, dispatcher, clock, logger, closing }),
      decryption: new TokenDecryption({
        credentials: () => decryptionCredentials(app, { ...services, identityDispatcher: dispatcher }),
        clock,
        logger,
        closing,
      }),
      clock,
      maxEntries,
    })
  }

  /**
   * Who makes a request: at once where the token was validated before.
   *
   * @param headers names and values in turn, as they came
   * @throws UnauthorizedError where there is no token, or none that holds
   */
  callerOf (headers: readonly string[]): Caller | Promise<Caller> {
    const token = bearerToken(headers)
    if (token === undefined) throw tokenMissing()
    return this.#validator.callerOf(token, requireToken)
  }

  /**
   * The caller whom code names: by the token, which is validated, by the claims of one that was, or by the request that they came with.
   *
   * @throws UserTokenRequiredError for anything else
   * @throws UnauthorizedError where the token does not hold
   */
  callerNamed (user: unknown): Caller | Promise<Caller> {
    if (typeof user === 'string') return this.#validator.callerOf(user)
    const caller = this.#validator.ofClaims(user) ?? this.#validator.ofClaims((user as { user?: unknown } | null | undefined)?.user)
    if (caller === undefined) throw new UserTokenRequiredError('The user is neither an access token nor the claims of one that has been validated here: give the raw token, or request.user')
    return caller
  }
}

async function decryptionCredentials ({ name, tokenDecryptionCredentials }: AppConfiguration, services: Pick<CredentialServices, 'managedIdentityToken' | 'identityDispatcher'>): Promise<DecryptionCredential[]> {
  // Loaded when one is needed first, so that importing the package stays cheap.
  const { certificateSource } = await import('../credentials/certificate-sources.ts')
  return tokenDecryptionCredentials.flatMap((credential, index) => credential.skip
    ? []
    : [{ where: `${name}.TokenDecryptionCredentials[${index}]`, source: certificateSource(credential as CertificateCredentialConfiguration, services) }])
}
