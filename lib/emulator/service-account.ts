import { randomUUID } from 'node:crypto'
import { rename, writeFile } from 'node:fs/promises'
import * as v from 'valibot'
import { guidText as guid } from '../configuration/value-schemas.ts'
import { parse } from './directory.ts'
import { federatedTokenEntries, type FederatedIssuer } from './federated-issuer.ts'

const serviceAccount = v.strictObject({
  namespace: v.string(),
  name: v.string(),
  /** The file that its token is kept in. */
  file: v.string(),
  ...federatedTokenEntries,
  /** For `AZURE_CLIENT_ID`. */
  clientId: v.optional(guid),
  /** For `AZURE_TENANT_ID`. */
  tenantId: v.optional(guid),
})

/** A service account of a cluster, whose token is projected into a file. */
export type ServiceAccountOptions = v.InferInput<typeof serviceAccount>

/**
 * A service account of Kubernetes, as workload identity uses it.
 *
 * @see https://azure.github.io/azure-workload-identity/docs/
 */
export class ServiceAccount {
  /** `iss` of its tokens. */
  readonly issuer: string
  /** `sub` of its tokens. */
  readonly subject: string
  /** Where the current token is. */
  readonly file: string
  /** The variables that workload identity gives to a pod. */
  readonly env: Readonly<Record<string, string>>
  readonly #issuer: FederatedIssuer
  readonly #token: Parameters<FederatedIssuer['issue']>[0]

  private constructor ({ namespace, name, file, audience, lifetime, clientId, tenantId }: v.InferOutput<typeof serviceAccount>, issuer: FederatedIssuer, instance: string) {
    this.#issuer = issuer
    this.issuer = issuer.url
    this.subject = `system:serviceaccount:${namespace}:${name}`
    this.file = file
    this.env = Object.freeze({
      AZURE_FEDERATED_TOKEN_FILE: file,
      AZURE_AUTHORITY_HOST: instance,
      ...clientId !== undefined && { AZURE_CLIENT_ID: clientId },
      ...tenantId !== undefined && { AZURE_TENANT_ID: tenantId },
    })
    this.#token = { subject: this.subject, audience, lifetime, claims: { 'kubernetes.io': { namespace, serviceaccount: { name, uid: randomUUID() } } } }
  }

  /**
   * A service account with its first token in the file.
   *
   * @throws TypeError when an argument is not right
   */
  static async create (options: ServiceAccountOptions, issuer: FederatedIssuer, instance: string): Promise<ServiceAccount> {
    const account = new ServiceAccount(parse(serviceAccount, options, 'registerServiceAccount'), issuer, instance)
    await account.rotate()
    return account
  }

  /**
   * Puts a new token into the file, in one step as the kubelet does.
   *
   * @param options `key`: whether it is signed with a new key
   */
  async rotate ({ key = false }: { readonly key?: boolean } = {}): Promise<void> {
    if (key) await this.#issuer.rotateKey()
    const beside = `${this.file}.${randomUUID()}`
    await writeFile(beside, await this.#issuer.issue(this.#token), { mode: 0o600 })
    await rename(beside, this.file)
  }
}
