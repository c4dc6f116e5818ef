import { IdentityWebError } from '../errors.ts'
import { isLoopbackHost } from '../local-host.ts'
import { readCertificate, type Certificate } from './certificate.ts'
import type { CertificateSource, CertificateWatch } from './certificate-source.ts'
import type { CredentialServices } from './create-credential.ts'
import { UndiciHttpClient } from './undici-http-client.ts'

const HOUR = 3_600_000

export interface KeyVaultCertificateOptions {
  readonly keyVaultUrl: string
  readonly keyVaultCertificateName: string
  /** The user-assigned managed identity that reads it; else the system-assigned one. */
  readonly managedIdentityClientId?: string | undefined
}

type Services = Pick<CredentialServices, 'managedIdentityToken' | 'identityDispatcher'>

/** Loads `@azure/keyvault-secrets`: the part that is used, so that the types of this package do not need that one. */
type ImportClient = () => Promise<{ readonly SecretClient: new (vaultUrl: string, credential: { getToken (scopes: string | string[]): Promise<{ token: string, expiresOnTimestamp: number }> }, options: object) => SecretReader }>

/** The part of `SecretClient` that is used. */
interface SecretReader {
  getSecret (name: string, options: { abortSignal: AbortSignal }): Promise<{ value?: string | undefined }>
}

/** A certificate in Azure Key Vault, with its private key: the secret of the same name holds both. */
export class KeyVaultCertificate implements CertificateSource {
  readonly isLocal = false
  readonly watch: CertificateWatch = { interval: HOUR, inBackground: true, hasChanged: async () => true }
  readonly #options: KeyVaultCertificateOptions
  readonly #services: Services
  readonly #importClient: ImportClient

  /** @param importClient loads the client of Azure, which only those who use Key Vault need to install */
  constructor (options: KeyVaultCertificateOptions, services: Services, importClient: ImportClient = () => import('@azure/keyvault-secrets')) {
    this.#options = options
    this.#services = services
    this.#importClient = importClient
  }

  async load (signal: AbortSignal): Promise<Certificate> {
    const { keyVaultUrl, keyVaultCertificateName: name } = this.#options
    const client = await this.#client(signal)
    const value = await client.getSecret(name, { abortSignal: signal }).then(({ value }) => value, (error: unknown) => { throw reasonOf(error, `the certificate "${name}" in ${keyVaultUrl}`) })
    if (typeof value !== 'string' || value === '') throw new Error('the secret of the certificate in Key Vault is empty: the certificate\'s policy must make the key exportable')
    return readCertificate(Buffer.from(value, value.includes('-----BEGIN ') ? 'latin1' : 'base64'))
  }

  /** A new one each time: it keeps the tokens and the challenge that it was given. */
  async #client (signal: AbortSignal): Promise<SecretReader> {
    const { keyVaultUrl, managedIdentityClientId } = this.#options
    const { managedIdentityToken, identityDispatcher } = this.#services
    const { SecretClient } = await this.#module()
    const isLoopback = isLoopbackHost(new URL(keyVaultUrl).hostname)
    const identity = managedIdentityClientId === undefined ? {} : { userAssignedClientId: managedIdentityClientId }
    const credential = {
      async getToken (scopes: string | string[]) {
        const { accessToken, expiresOn } = await managedIdentityToken([scopes].flat()[0]!, identity, signal)
        return { token: accessToken, expiresOnTimestamp: expiresOn }
      }
    }
    return new SecretClient(keyVaultUrl, credential, {
      httpClient: new UndiciHttpClient(await identityDispatcher(), signal),
      retryOptions: { maxRetries: 2, retryDelayInMs: 500 },
      // A token goes to the vault that is configured, and nowhere else.
      redirectOptions: { maxRetries: 0 },
      // The vault of a test speaks http, and has no name that could be compared with the resource that it asks a token for.
      allowInsecureConnection: isLoopback,
      disableChallengeResourceVerification: isLoopback,
    })
  }

  async #module (): ReturnType<ImportClient> {
    try {
      return await this.#importClient()
    } catch (error) {
      throw new Error('the package @azure/keyvault-secrets could not be loaded: npm install @azure/keyvault-secrets', { cause: error })
    }
  }
}

/**
 * The client's own messages quote what was answered, which may hold the key: only status and code are told. What was asked for stands in the cause,
 * for the log, since the message may be answered to anybody.
 */
function reasonOf (error: unknown, what: string): Error {
  if (error instanceof IdentityWebError) return error
  const { statusCode, code } = Object(error) as { statusCode?: unknown, code?: unknown }
  return new Error(`Key Vault ${failureOf(statusCode, code)}`, { cause: new Error(what) })
}

function failureOf (statusCode: unknown, code: unknown): string {
  if (statusCode === 404) return 'has no such certificate: correct KeyVaultCertificateName'
  if (statusCode === 401 || statusCode === 403) return `refused to give the certificate (${statusCode}): give the managed identity the role "Key Vault Secrets User" there, and look at the vault's firewall`
  if (typeof statusCode === 'number' && statusCode >= 300) return `answered ${statusCode}: look at the vault's logs`
  return `gave no answer that can be read${typeof code === 'string' ? ` (${code})` : ''}: check the network`
}
