import { X509Certificate, createPrivateKey, type KeyObject } from 'node:crypto'
import forge from 'node-forge'
import type { CertificateParts } from './certificate.ts'

// Node can read a PFX for TLS only, and does not give its parts. What is taken from forge is the container: keys and certificates are Node's.

const { asn1, pkcs12, pki } = forge

type Bag = forge.pkcs12.Bag

/**
 * The keys and certificates of a PFX (PKCS #12, RFC 7292).
 *
 * @throws Error that says what is wrong and what to do; it holds nothing of the key and of the password
 */
export function partsOfPfx (bytes: Uint8Array, password: string | undefined): CertificateParts {
  const bags = open(containerOf(bytes), password).safeContents.flatMap(({ safeBags }) => safeBags)
  try {
    return {
      privateKeys: bags.filter(({ type }) => type === pki.oids['pkcs8ShroudedKeyBag'] || type === pki.oids['keyBag']).map(privateKeyOf),
      certificates: bags.filter(({ type }) => type === pki.oids['certBag']).map(certificateOf),
    }
  } catch {
    throw new Error('there is a certificate or a key in it that cannot be read: export it again')
  }
}

function containerOf (bytes: Uint8Array): forge.asn1.Asn1 {
  try {
    return asn1.fromDer(Buffer.from(bytes).toString('latin1'))
  } catch {
    throw new Error('it is neither a PFX nor PEM, or it is cut off: export the certificate again, with its private key')
  }
}

function open (container: forge.asn1.Asn1, password: string | undefined): forge.pkcs12.Pkcs12Pfx {
  const failures: unknown[] = []
  for (const { of, by } of attemptsOf(container, password)) {
    try {
      return pkcs12.pkcs12FromAsn1(of, true, by)
    } catch (error) {
      failures.push(error)
    }
  }
  if (!failures.some(isWrongPassword)) throw new Error('it is no PFX that can be read: export the certificate again, with its private key, as PKCS #12 or PEM')
  throw new Error(password === undefined ? 'the PFX does not open without a password: give CertificatePassword' : 'CertificatePassword does not open the PFX: correct it')
}

/** What to open, and by what. */
interface Attempt {
  readonly of: forge.asn1.Asn1
  readonly by: string | undefined
}

function attemptsOf (container: forge.asn1.Asn1, password: string | undefined): Attempt[] {
  // A PFX without a password has an empty one, or none; they make different keys.
  if (password === undefined || password === '') return [{ of: container, by: '' }, { of: container, by: undefined }]
  // PBES2 takes the bytes of UTF-8 (RFC 8018 section 3), and the MAC takes UTF-16. Forge has one text for both: with the bytes, the MAC cannot be looked at.
  const utf8 = Buffer.from(password).toString('latin1')
  return [{ of: container, by: password }, ...utf8 === password ? [] : [{ of: withoutMac(container), by: utf8 }]]
}

/** RFC 7292 section 4: version, contents, and the MAC, which may be absent. */
function withoutMac (container: forge.asn1.Asn1): forge.asn1.Asn1 {
  return { ...container, value: container.value.slice(0, 2) as forge.asn1.Asn1[] }
}

/** Whether the password is what failed; forge tells it by its messages only. */
function isWrongPassword (error: unknown): boolean {
  return /MAC could not be verified|decrypt/i.test((error as Error).message)
}

function privateKeyOf ({ key, asn1: info }: Bag): KeyObject {
  // Forge reads RSA keys, and leaves the others as they stand.
  return key ? createPrivateKey({ key: derOf(pki.privateKeyToAsn1(key)), format: 'der', type: 'pkcs1' }) : createPrivateKey({ key: derOf(info), format: 'der', type: 'pkcs8' })
}

function certificateOf ({ cert, asn1: whole }: Bag): X509Certificate {
  return new X509Certificate(derOf(cert ? signed(cert) : whole))
}

/** The certificate as it was signed. Forge would write the parameters of the signature in its own way, which would be another thumbprint. */
function signed ({ tbsCertificate, signature }: forge.pki.Certificate): forge.asn1.Asn1 {
  const { Class, Type } = asn1
  const fields = tbsCertificate.value as forge.asn1.Asn1[]
  // RFC 5280 section 4.1.1.2: the algorithm stands twice, and must be the same. Before it are the version, which may be left out, and the serial number.
  const algorithm = fields.find(({ type, tagClass }) => type === Type.SEQUENCE && tagClass === Class.UNIVERSAL)!
  return asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, [tbsCertificate, algorithm, asn1.create(Class.UNIVERSAL, Type.BITSTRING, false, `\0${String(signature)}`)])
}

function derOf (value: forge.asn1.Asn1): Buffer {
  return Buffer.from(asn1.toDer(value).getBytes(), 'latin1')
}
