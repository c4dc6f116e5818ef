import * as v from 'valibot'
import { instanceFault } from '../authorities/address.ts'
import type { Authority } from '../authorities/authority.ts'
import { ConfigurationError } from '../errors.ts'
import type { ManagedIdentityOptions } from '../configuration/schema.ts'
import { clientIdText, tenantText } from '../configuration/value-schemas.ts'
import { isWorkload, selectionFaults, type Environment } from './managed-identity-source.ts'

/** An identity that the platform proves with a token in a file, as Kubernetes does, and where that is exchanged. */
export interface WorkloadIdentity {
  readonly authority: Authority
  /** Path of the file. */
  readonly tokenFile: string
}

/**
 * The workload identity that stands for `identity` in this environment; `undefined` where a managed identity endpoint is asked.
 *
 * @param knownAuthorities hosts that may be given secrets beside Microsoft's
 * @throws ConfigurationError when the variables name no authority, tenant or client, or the identity is selected by another id than its client id
 * @see https://learn.microsoft.com/azure/aks/workload-identity-overview
 */
export function workloadIdentity (identity: ManagedIdentityOptions, environment: Environment, knownAuthorities: readonly string[]): WorkloadIdentity | undefined {
  if (!isWorkload(environment)) return undefined

  const { AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '', AZURE_FEDERATED_TOKEN_FILE: tokenFile = '' } = environment
  const host = environment['AZURE_AUTHORITY_HOST'] || 'https://login.microsoftonline.com/'
  const fault = instanceFault(host, knownAuthorities)
  const faults = [
    ...selectionFaults('Workload Identity', ['userAssignedClientId'], identity),
    ...fault === undefined ? [] : [`the environment variable AZURE_AUTHORITY_HOST: ${fault}`],
    ...v.is(tenantText, AZURE_TENANT_ID) ? [] : ['the environment variable AZURE_TENANT_ID: expected the id or the domain name of a tenant'],
    ...v.is(clientIdText, AZURE_CLIENT_ID) ? [] : ['the environment variable AZURE_CLIENT_ID: expected a client id'],
  ]
  if (faults.length > 0) throw new ConfigurationError(faults)

  const instance = `${new URL(host).href.replace(/\/+$/, '')}/`
  const tenantId = AZURE_TENANT_ID.toLowerCase()
  const clientId = identity.userAssignedClientId ?? AZURE_CLIENT_ID
  return Object.freeze({ authority: Object.freeze({ instance, tenantId, policy: undefined, clientId, tokenEndpoint: `${instance}${tenantId}/oauth2/v2.0/token`, isDiscovered: false, region: undefined }), tokenFile })
}
