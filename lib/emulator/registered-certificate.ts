import { X509Certificate } from 'node:crypto'
import * as v from 'valibot'

const pem = v.pipe(v.union([v.string(), v.instance(Buffer)], 'expected PEM'), v.check(text => certificateIn(text) !== undefined, 'expected a certificate, PEM'))
const thumbprint = v.pipe(v.string(), v.regex(/^([0-9a-f]{40}|[0-9a-f]{64}|[\w-]{43})$/i, 'expected SHA-1 or SHA-256, hexadecimal, or SHA-256, base64url'))

const certificateEntry = v.union([
  pem,
  v.strictObject({
    thumbprint,
    /** Whether it was withdrawn before its time. Default: false. */
    revoked: v.optional(v.boolean(), false),
  }),
  v.strictObject({
    /** The common name of the subject. */
    subjectName: v.string(),
    /** Who must have signed the certificate. */
    issuer: pem,
  }),
], 'expected a certificate (PEM), { thumbprint, revoked? } or { subjectName, issuer }')

/** A certificate that is known whole, one that is known by its thumbprint (base64url), or any of a name that an issuer stands for. */
export type RegisteredCertificate =
  | { readonly certificate: X509Certificate }
  | { readonly thumbprint: string, readonly revoked: boolean }
  | { readonly subjectName: string, readonly issuer: X509Certificate }

/** A certificate that an app proves itself with, as `registerApp` takes it. */
export const certificateSchema = v.pipe(certificateEntry, v.transform((entry): RegisteredCertificate => {
  if (typeof entry === 'string' || Buffer.isBuffer(entry)) return { certificate: certificateIn(entry)! }
  if ('thumbprint' in entry) return { ...entry, thumbprint: base64urlOf(entry.thumbprint) }
  return { ...entry, issuer: certificateIn(entry.issuer)! }
}))

/** A certificate that tokens are encrypted for, as `registerApp` takes it. */
export const encryptionCertificateSchema = v.pipe(pem, v.transform(text => certificateIn(text)!), v.check(({ publicKey }) => publicKey.asymmetricKeyType === 'rsa', 'expected the certificate of an RSA key'))

/** Both thumbprints, base64url: SHA-256, as in `x5t#S256`, and SHA-1, as in `x5t` (RFC 7515 section 4.1.7). */
export function thumbprintsOf ({ fingerprint256, fingerprint }: X509Certificate): readonly [sha256: string, sha1: string] {
  return [base64urlOf(fingerprint256.replaceAll(':', '')), base64urlOf(fingerprint.replaceAll(':', ''))]
}

/** The certificate in base64 of DER, as in `x5c` (RFC 7515 section 4.1.6); `undefined` when it is none. */
export function certificateOf (base64: unknown): X509Certificate | undefined {
  try {
    return new X509Certificate(Buffer.from(base64 as string, 'base64'))
  } catch {
    return undefined
  }
}

/**
 * The certificate that an assertion is signed with, where `registered` stands for it.
 *
 * @param thumbprint as the assertion names it
 * @param sent the certificate that came with the assertion
 */
export function certificateFor (registered: RegisteredCertificate, thumbprint: string, sent: X509Certificate | undefined): X509Certificate | undefined {
  if ('certificate' in registered) return thumbprintsOf(registered.certificate).includes(thumbprint) ? registered.certificate : undefined
  if (sent === undefined || !thumbprintsOf(sent).includes(thumbprint)) return undefined
  if ('thumbprint' in registered) return thumbprintsOf(sent).includes(registered.thumbprint) ? sent : undefined

  const { subjectName, issuer } = registered
  return commonNameOf(sent) === subjectName && sent.checkIssued(issuer) && sent.verify(issuer.publicKey) ? sent : undefined
}

function commonNameOf ({ subject }: X509Certificate): string | undefined {
  return /^CN=(.*)$/m.exec(subject)?.[1]
}

/** The first certificate of a PEM file; `undefined` when there is none. */
function certificateIn (pem: string | Buffer): X509Certificate | undefined {
  const [, base64] = /-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----/s.exec(pem.toString()) ?? []
  return certificateOf(base64)
}

function base64urlOf (thumbprint: string): string {
  return thumbprint.length === 43 ? thumbprint : Buffer.from(thumbprint, 'hex').toString('base64url')
}
