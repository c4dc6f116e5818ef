import { hash, randomUUID } from 'node:crypto'
import type { ManagedIdentityApplication } from '@azure/msal-node'
import { managedIdentitySource, type ManagedIdentitySource } from '../tokens/managed-identity-source.ts'
import type { Token } from '../tokens/token.ts'
import type { ManagedIdentityRequest } from '../tokens/token-request.ts'
import { MsalNetworkClient } from './network-client.ts'
import { toAcquisitionError } from './acquisition-error.ts'
import { toToken } from './msal-token.ts'
import { serviceFabricDispatcher } from './service-fabric.ts'
import type { Acquisition } from './acquisition.ts'

type Msal = Pick<typeof import('@azure/msal-node'), 'ManagedIdentityApplication'>
type MsalConfiguration = NonNullable<ConstructorParameters<typeof ManagedIdentityApplication>[0]>
type MsalRequest = Parameters<ManagedIdentityApplication['acquireToken']>[0]
type MsalResult = ReturnType<ManagedIdentityApplication['acquireToken']>

/**
 * Acquires a token for the managed identity of the Azure resource that the process runs on.
 *
 * @param replaced the token that the endpoint may have kept, and must not give again
 * @see https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/overview
 * @throws TokenAcquisitionError
 * @throws ConfigurationError when the platform cannot serve the identity
 */
export async function acquireWithManagedIdentity (request: ManagedIdentityRequest, acquisition: Acquisition, replaced?: Token): Promise<Token> {
  const msal = await import('@azure/msal-node')
  // From here until MSAL has been started, nothing is waited for: the variables that are checked are those that it reads.
  const source = managedIdentitySource(request.managedIdentity, process.env)
  if (source !== 'Service Fabric') return acquireFrom(source, msal, request, acquisition, {})

  const dispatcher = serviceFabricDispatcher(process.env['IDENTITY_SERVER_THUMBPRINT']!)
  // MSAL says so too, of a token in its own cache.
  const query: Record<string, string> = request.claims === undefined || replaced === undefined ? {} : { token_sha256_to_refresh: hash('sha256', replaced.accessToken) }
  return acquireFrom(source, msal, request, { ...acquisition, dispatcher }, query).finally(() => dispatcher.destroy())
}

async function acquireFrom (source: ManagedIdentitySource, msal: Msal, request: ManagedIdentityRequest, { signal, dispatcher, now }: Acquisition, query: Readonly<Record<string, string>>): Promise<Token> {
  const { managedIdentity, resource, scopes, claims, clientCapabilities } = request
  const correlationId = request.correlationId ?? randomUUID()
  const networkClient = new MsalNetworkClient({ dispatcher, signal, now, headers: { 'x-ms-client-request-id': correlationId }, query })
  try {
    const result = await acquireAlone(msal, {
      clientCapabilities: [...clientCapabilities],
      managedIdentityIdParams: managedIdentity as NonNullable<MsalConfiguration['managedIdentityIdParams']>,
      system: { networkClient, disableInternalRetries: true },
    }, { resource, forceRefresh: true, ...claims !== undefined && { claims } })
    return toToken(result, { tenantId: undefined, scopes, correlationId }, now)
  } catch (error) {
    throw toAcquisitionError(error, networkClient.evidence, { provider: 'managed-identity', who: `the managed identity endpoint of ${source}`, signal, correlationId, now })
  }
}

/** The static fields in which MSAL keeps what the first application of the process has made. */
interface MsalStatics {
  application: { nodeStorage: unknown }
  client: { identitySource: unknown }
}

/**
 * Runs one acquisition with a cache, a source and a network client of its own.
 *
 * MSAL keeps all three in static fields, so that the first application of a process decides for all of them. A forced
 * acquisition reads these fields before it first waits, so it is enough to empty them for as long as it is started,
 * and other users of MSAL in the process find their own again.
 */
function acquireAlone ({ ManagedIdentityApplication }: Msal, configuration: MsalConfiguration, request: MsalRequest & { forceRefresh: true }): MsalResult {
  const application = ManagedIdentityApplication as unknown as MsalStatics['application']
  const { nodeStorage } = application
  application.nodeStorage = undefined
  const alone = new ManagedIdentityApplication(configuration)
  const client = (alone as unknown as { managedIdentityClient: { constructor: MsalStatics['client'] } }).managedIdentityClient.constructor
  const { identitySource } = client
  client.identitySource = undefined
  try {
    return alone.acquireToken(request)
  } finally {
    application.nodeStorage = nodeStorage
    client.identitySource = identitySource
  }
}
