import { readCertificate, type Certificate } from './certificate.ts'
import type { CertificateSource } from './certificate-source.ts'

/** A certificate in a setting: a PFX as base64, or PEM as it is or as base64. */
export class Base64Certificate implements CertificateSource {
  readonly isLocal = true
  readonly watch = undefined
  readonly #value: string
  readonly #password: string | undefined

  constructor (value: string, password: string | undefined) {
    this.#value = value
    this.#password = password
  }

  async load (): Promise<Certificate> {
    return readCertificate(bytesOf(this.#value), this.#password)
  }
}

/** What the text stands for: PEM, whose ends of lines may be written as `\\n`, or base64 of anything. */
function bytesOf (text: string): Uint8Array {
  return text.includes('-----BEGIN ') ? Buffer.from(text.replaceAll('\\n', '\n')) : Buffer.from(text, 'base64')
}
