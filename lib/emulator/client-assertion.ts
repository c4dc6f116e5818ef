import type { X509Certificate } from 'node:crypto'
import { compactVerify } from 'jose'
import { checkLifetime, type Assertion } from './assertion.ts'
import type { RegisteredApp } from './directory.ts'
import { EntraRefusal } from './entra-error.ts'
import { certificateFor, certificateOf, thumbprintsOf } from './registered-certificate.ts'

export interface ClientAssertionCheck {
  readonly app: RegisteredApp
  /** What its `aud` may be. */
  readonly audiences: readonly string[]
  /** Milliseconds since the epoch. */
  readonly now: number
}

const algorithms = ['PS256', 'RS256']

/**
 * Verifies an assertion that a client signed with its certificate.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/certificate-credentials
 * @throws EntraRefusal
 */
export async function verifyClientAssertion (assertion: Assertion, { app, audiences, now }: ClientAssertionCheck): Promise<void> {
  const { text, header, claims } = assertion
  if (!algorithms.includes(String(header.alg))) throw new EntraRefusal(50027, `Its algorithm must be one of ${algorithms.join(', ')}.`)
  const certificate = signingCertificate(assertion, app)
  if (now < Date.parse(certificate.validFrom) || now >= Date.parse(certificate.validTo)) throw new EntraRefusal(1000502)

  await compactVerify(text, certificate.publicKey, { algorithms }).catch(() => {
    throw new EntraRefusal(700027, 'The signature is not of the key of that certificate.')
  })

  if ([claims.iss, claims.sub].some(id => String(id).toLowerCase() !== app.clientId)) throw new EntraRefusal(700021)
  if (![claims.aud].flat().some(aud => audiences.includes(comparable(String(aud))))) throw new EntraRefusal(700023, `It must be one of ${audiences.join(', ')}.`)
  checkLifetime(claims, now)
  if (typeof claims.jti !== 'string' || claims.jti === '') throw new EntraRefusal(50027, 'It lacks jti.')
}

/** An audience without what does not count in it: letter case, and a slash at the end. */
export function comparable (audience: string): string {
  return audience.replace(/\/$/, '').toLowerCase()
}

function signingCertificate ({ header }: Assertion, { certificates, clientId }: RegisteredApp): X509Certificate {
  const thumbprint = header['x5t#S256'] ?? header.x5t
  if (typeof thumbprint !== 'string') throw new EntraRefusal(50027, 'Its header has neither x5t#S256 nor x5t.')

  const sent = certificateOf(header.x5c?.[0])
  const certificate = certificates.map(known => certificateFor(known, thumbprint, sent)).find(found => found !== undefined)
  const names = [thumbprint, ...[sent, certificate].flatMap(known => known === undefined ? [] : thumbprintsOf(known))]
  if (certificates.some(known => 'thumbprint' in known && known.revoked && names.includes(known.thumbprint))) throw new EntraRefusal(7000214)

  if (certificate === undefined) throw new EntraRefusal(700027, `The app was '${clientId}', the thumbprint '${thumbprint}'.`)
  return certificate
}
