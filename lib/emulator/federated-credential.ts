import { compactVerify, errors } from 'jose'
import * as v from 'valibot'
import { checkLifetime, type Assertion } from './assertion.ts'
import type { RegisteredApp } from './directory.ts'
import { EntraRefusal } from './entra-error.ts'
import type { IssuerKeys } from './issuer-keys.ts'

/** `aud` of the tokens that are exchanged, unless a credential says another. */
export const TOKEN_EXCHANGE_AUDIENCE = 'api://AzureADTokenExchange'

/** Whose tokens an app may prove itself with, as `registerApp` takes it. */
export const federatedCredentialSchema = v.strictObject({
  /** `iss` of the tokens. The keys of other issuers than the emulator are fetched from loopback addresses only. */
  issuer: v.pipe(v.string(), v.url('expected a URL')),
  /** `sub` of the tokens. */
  subject: v.string(),
  /** `aud` of the tokens. Default: 'api://AzureADTokenExchange'. */
  audience: v.optional(v.string(), TOKEN_EXCHANGE_AUDIENCE),
})

export type FederatedCredential = Readonly<v.InferOutput<typeof federatedCredentialSchema>>

export interface FederatedAssertionCheck {
  readonly app: RegisteredApp
  readonly issuerKeys: IssuerKeys
  /** Milliseconds since the epoch. */
  readonly now: number
}

/**
 * Verifies a token of another issuer, whom the app trusts.
 *
 * @see https://learn.microsoft.com/entra/workload-id/workload-identity-federation
 * @throws EntraRefusal
 */
export async function verifyFederatedAssertion ({ text, header, claims }: Assertion, { app, issuerKeys, now }: FederatedAssertionCheck): Promise<void> {
  const { iss: issuer, sub, aud } = claims
  if (app.federatedCredentials.length === 0) throw new EntraRefusal(70025, `The app was '${app.clientId}'.`)
  const ofIssuer = app.federatedCredentials.filter(credential => credential.issuer === issuer)
  if (ofIssuer[0] === undefined) throw new EntraRefusal(700211, `It was '${issuer}'.`)

  if (header.alg !== 'RS256') throw new EntraRefusal(50027, 'Its algorithm must be RS256.')
  await verifySignature(text, ofIssuer[0].issuer, issuerKeys)

  const ofAudience = ofIssuer.filter(({ audience }) => [aud].flat().includes(audience))
  if (ofAudience.length === 0) throw new EntraRefusal(700212, `It was '${[aud].flat().join(' ')}'.`)
  if (!ofAudience.some(({ subject }) => subject === sub)) throw new EntraRefusal(700213, `It was '${sub}'.`)
  checkLifetime(claims, now)
}

async function verifySignature (text: string, issuer: string, issuerKeys: IssuerKeys): Promise<void> {
  const keys = await issuerKeys.of(issuer)
  await compactVerify(text, keys, { algorithms: ['RS256'] }).catch(error => {
    if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey) throw new EntraRefusal(50013)
    throw new EntraRefusal(50166, `The keys of '${issuer}' could not be read.`)
  })
}
