import type { X509Certificate } from 'node:crypto'
import { CompactEncrypt } from 'jose'

/**
 * `token` for the eyes of who has the key of that certificate only, or as it is without one.
 *
 * @see https://learn.microsoft.com/entra/msidweb/authentication/token-decryption
 */
export async function encrypted (token: string, certificate: X509Certificate | undefined): Promise<string> {
  if (certificate === undefined) return token
  const thumbprint = certificate.fingerprint.replaceAll(':', '')
  return new CompactEncrypt(Buffer.from(token))
    .setProtectedHeader({ alg: 'RSA-OAEP', enc: 'A128CBC-HS256', kid: thumbprint, x5t: Buffer.from(thumbprint, 'hex').toString('base64url'), typ: 'JWT', cty: 'JWT' })
    .encrypt(certificate.publicKey)
}
