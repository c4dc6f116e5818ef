import { X509Certificate, createHash, createPrivateKey, type KeyObject } from 'node:crypto'

/** A certificate that an app can prove itself with, and its private key. */
export interface Certificate {
  readonly privateKey: KeyObject
  readonly certificate: X509Certificate
  /** DER, the app's own first, then each issuer that is known. */
  readonly chain: readonly Uint8Array[]
  /** `x5t#S256` (RFC 7515 section 4.1.8): SHA-256 of the DER, base64url. */
  readonly thumbprint: string
  /** Milliseconds since the epoch. */
  readonly validFrom: number
  /** Milliseconds since the epoch. */
  readonly validTo: number
}

/** What is in a file or a setting. */
export interface CertificateParts {
  readonly privateKeys: readonly KeyObject[]
  readonly certificates: readonly X509Certificate[]
}

const SMALLEST_KEY = 2048
const nothingThere = 'there is no certificate in it: give a PFX (PKCS #12), or a PEM file that holds the certificate and its private key'
const noKey = 'there is a certificate in it, but not its private key: export it with the key; in Key Vault the certificate\'s policy must make the key exportable'

/**
 * Reads a certificate with its private key from a PFX or from PEM, which are told apart by what they look like.
 *
 * @throws Error that says what is wrong and what to do; it holds nothing of the key and of the password
 */
export async function readCertificate (bytes: Uint8Array, password?: string): Promise<Certificate> {
  const text = Buffer.from(bytes).toString('latin1')
  const { privateKeys, certificates } = text.includes('-----BEGIN ') ? partsOfPem(text, password) : await partsOfBinary(bytes, password)
  if (certificates.length === 0) throw new Error(nothingThere)
  if (privateKeys.length === 0) throw new Error(noKey)
  return certificateOf(privateKeys, certificates)
}

/** @throws Error when the certificate cannot be used at `now`, in milliseconds since the epoch */
export function requireValid ({ validFrom, validTo }: Certificate, now: number): void {
  if (now < validFrom) throw new Error(`the certificate is not valid before ${new Date(validFrom).toISOString()}: wait until then, or correct the clock of this machine`)
  if (now >= validTo) throw new Error(`the certificate ended at ${new Date(validTo).toISOString()}: renew it, and upload the new one to the app registration`)
}

function certificateOf (privateKeys: readonly KeyObject[], certificates: readonly X509Certificate[]): Certificate {
  for (const privateKey of privateKeys) {
    const certificate = certificates.find(certificate => certificate.checkPrivateKey(privateKey))
    if (certificate === undefined) continue
    requireStrongRsa(privateKey)
    return {
      privateKey,
      certificate,
      chain: chainOf(certificate, certificates).map(({ raw }) => raw),
      thumbprint: createHash('sha256').update(certificate.raw).digest('base64url'),
      validFrom: Date.parse(certificate.validFrom),
      validTo: Date.parse(certificate.validTo),
    }
  }
  throw new Error('its private key belongs to another certificate: put the certificate and its own key together')
}

/** Entra ID takes nothing else. */
function requireStrongRsa ({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): void {
  if (asymmetricKeyType !== 'rsa') throw new Error(`its key is of the type ${asymmetricKeyType}, and Entra ID takes RSA only: issue a certificate with an RSA key of 2,048 bits or more`)
  const bits = Number(asymmetricKeyDetails?.modulusLength)
  if (bits < SMALLEST_KEY) throw new Error(`its RSA key has ${bits} bits, and 2,048 are needed: issue a certificate with a longer key`)
}

/** The certificate and its issuers, in whatever order they came. */
function chainOf (certificate: X509Certificate, certificates: readonly X509Certificate[]): X509Certificate[] {
  const chain = [certificate]
  for (let last = certificate; ;) {
    const issuer = certificates.find(candidate => !chain.includes(candidate) && last.checkIssued(candidate))
    if (issuer === undefined) return chain
    chain.push(issuer)
    last = issuer
  }
}

function partsOfPem (text: string, password: string | undefined): CertificateParts {
  // A block ends before the next begins, so that text of many beginnings is not searched to its end for each.
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----(?:(?!-----BEGIN ).)*?-----END \1-----/gs)].map(([pem, label = '']) => ({ pem, label }))
  return {
    certificates: blocks.filter(({ label }) => label === 'CERTIFICATE').map(({ pem }) => certificateFrom(pem)),
    privateKeys: blocks.filter(({ label }) => label.endsWith('PRIVATE KEY')).map(({ pem }) => privateKeyFrom(pem, password)),
  }
}

function certificateFrom (pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch {
    throw new Error('there is a certificate in it that cannot be read: export it again')
  }
}

function privateKeyFrom (pem: string, password: string | undefined): KeyObject {
  const isEncrypted = /^-----BEGIN ENCRYPTED |^Proc-Type: 4,ENCRYPTED/m.test(pem)
  if (isEncrypted && password === undefined) throw new Error('its private key is encrypted: give CertificatePassword')
  try {
    return createPrivateKey({ key: pem, ...isEncrypted && { passphrase: password } })
  } catch {
    throw new Error(isEncrypted ? 'CertificatePassword does not open its private key: correct it' : 'there is a private key in it that cannot be read: export it again')
  }
}

async function partsOfBinary (bytes: Uint8Array, password: string | undefined): Promise<CertificateParts> {
  if (isCertificate(bytes)) throw new Error(noKey)
  // What is no SEQUENCE of ASN.1 is no PFX, and the parser need not be loaded for it.
  if (bytes[0] !== 0x30) throw new Error(nothingThere)
  const { partsOfPfx } = await import('./pfx.ts')
  return partsOfPfx(bytes, password)
}

/** Whether it is the DER of a certificate, as files that end in .cer or .crt are. */
function isCertificate (bytes: Uint8Array): boolean {
  try {
    return new X509Certificate(bytes).raw.length > 0
  } catch {
    return false
  }
}
