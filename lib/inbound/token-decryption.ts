import { createHash } from 'node:crypto'
import { requireValid, type Certificate } from '../credentials/certificate.ts'
import type { CertificateSource } from '../credentials/certificate-source.ts'
import type { UnauthorizedError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { Clock } from '../tokens/clock.ts'
import { tokenRefused, cannotValidate } from './refusals.ts'

/** A certificate that tokens are encrypted for. */
export interface DecryptionCredential {
  /** Path of the credential, for log lines. */
  readonly where: string
  readonly source: CertificateSource
}

export interface TokenDecryptionOptions {
  readonly credentials: () => Promise<readonly DecryptionCredential[]>
  readonly clock: Clock
  readonly logger: Logger
  /** Ends what is under way. */
  readonly closing: AbortSignal
}

interface Loaded {
  /** Whether one is missing that is configured. */
  readonly hasFailed: boolean
  readonly certificates: readonly Certificate[]
  /** On {@link Clock.elapsed}. */
  readonly at: number
}

/** Milliseconds after which certificates are loaded anew, when a token comes that none opens. */
const COOLDOWN = 60_000

/** How tokens may be encrypted. Compressed ones are not taken, whose few bytes may hold a lot (RFC 8725 section 3.6). */
const accepted = { keyManagementAlgorithms: ['RSA-OAEP', 'RSA-OAEP-256'], contentEncryptionAlgorithms: ['A128CBC-HS256', 'A256CBC-HS512', 'A128GCM', 'A256GCM'], maxDecompressedLength: 0 }

/**
 * Opens tokens that are encrypted for the API (RFC 7516), with the certificates of `TokenDecryptionCredentials`.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/howto-configure-app-token-encryption
 */
export class TokenDecryption {
  readonly #options: TokenDecryptionOptions
  #loading: Promise<Loaded> | undefined

  constructor (options: TokenDecryptionOptions) {
    this.#options = options
  }

  /**
   * The signed token in an encrypted one.
   *
   * @throws UnauthorizedError when no certificate opens it
   */
  async decrypt (token: string): Promise<string> {
    const { clock } = this.#options
    const loading = (this.#loading ??= this.#load())
    const loaded = await loading
    const opened = await open(token, loaded.certificates)
    if (opened !== undefined) return opened
    if (clock.elapsed() - loaded.at < COOLDOWN) throw refusal(loaded)
    // Once for all who come with such tokens at the same time.
    if (this.#loading === loading) this.#loading = this.#load()
    const anew = await this.#loading
    const openedAnew = await open(token, anew.certificates)
    if (openedAnew === undefined) throw refusal(anew)
    return openedAnew
  }

  /** Never rejects: it would be what every later token gets. */
  async #load (): Promise<Loaded> {
    const { credentials, clock, closing } = this.#options
    const known = await credentials().catch(error => this.#failed(error))
    const certificates = await Promise.all((known ?? []).map(async ({ where, source }) => {
      try {
        const certificate = await source.load(closing)
        requireValid(certificate, clock.now())
        return certificate
      } catch (error) {
        return this.#failed(error, where)
      }
    }))
    return { certificates: certificates.filter(certificate => certificate !== undefined), hasFailed: known === undefined || certificates.includes(undefined), at: clock.elapsed() }
  }

  #failed (error: unknown, where?: string): undefined {
    const { logger, closing } = this.#options
    if (!closing.aborted) logger.warn({ credential: where, err: error }, 'token decryption credential cannot be used: it is tried again when a token comes that none opens')
  }
}

function refusal ({ certificates, hasFailed }: Loaded): UnauthorizedError {
  return hasFailed ? cannotValidate({ cause: new Error('a token decryption credential could not be loaded') }) : tokenRefused(certificates.length === 0 ? 'it is encrypted, which the API does not expect' : 'it is encrypted for another certificate')
}

async function open (token: string, certificates: readonly Certificate[]): Promise<string | undefined> {
  const { compactDecrypt, decodeProtectedHeader } = await import('jose')
  const { kid, x5t } = headerOf(token, decodeProtectedHeader)
  const named = certificates.filter(certificate => namesOf(certificate).some(name => name === kid || name === x5t))
  for (const { privateKey } of named.length > 0 ? named : certificates) {
    try {
      const { plaintext } = await compactDecrypt(token, privateKey, accepted)
      return Buffer.from(plaintext).toString()
    } catch {
      // Encrypted for another: the next may open it.
    }
  }
  return undefined
}

function headerOf (token: string, decode: typeof import('jose').decodeProtectedHeader): ReturnType<typeof decode> {
  try {
    return decode(token)
  } catch (cause) {
    throw tokenRefused('it is no encrypted JWT', { cause })
  }
}

/** What a certificate goes by in headers: its thumbprints, as hex or base64url. */
function namesOf ({ certificate, thumbprint }: Certificate): string[] {
  const sha1 = createHash('sha1').update(certificate.raw).digest()
  return [thumbprint, sha1.toString('base64url'), sha1.toString('hex').toUpperCase(), sha1.toString('hex')]
}
