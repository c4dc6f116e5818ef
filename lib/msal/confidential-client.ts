import { randomUUID } from 'node:crypto'
import type { ClientCredentialRequest } from '@azure/msal-node'
import { loadClientCredential } from '../tokens/client-credential.ts'
import type { Authority } from '../tokens/authority.ts'
import type { Token } from '../tokens/token.ts'
import type { ClientCredentialsRequest } from '../tokens/token-request.ts'
import { MsalNetworkClient } from './network-client.ts'
import { toAcquisitionError } from './acquisition-error.ts'
import { toToken } from './msal-token.ts'
import type { Acquisition } from './acquisition.ts'

/**
 * Acquires a token for the app itself.
 *
 * Every acquisition has an MSAL client of its own, which is dropped with the caches and throttling notes it made:
 * nothing of one request can answer another.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
 * @throws TokenAcquisitionError
 */
export async function acquireWithClientCredential (request: ClientCredentialsRequest, { signal, dispatcher, now }: Acquisition): Promise<Token> {
  const { authority, scopes, claims, fmiPath, clientCapabilities } = request
  const credential = await loadClientCredential(request.app)
  const authentication = await credential.authenticate(authority)
  const { ConfidentialClientApplication } = await import('@azure/msal-node')

  const correlationId = request.correlationId ?? randomUUID()
  const networkClient = new MsalNetworkClient({ dispatcher, signal, extraHeaders: { 'client-request-id': correlationId, ...request.extraHeadersParameters } })
  const client = new ConfidentialClientApplication({
    auth: {
      clientId: authority.clientId,
      authority: msalAuthority(authority),
      knownAuthorities: [new URL(authority.instance).host],
      authorityMetadata: authorityMetadata(authority),
      clientCapabilities: [...clientCapabilities],
      ...authentication,
    },
    system: { networkClient },
  })

  try {
    const result = await client.acquireTokenByClientCredential({
      scopes: [...scopes],
      skipCache: true,
      correlationId,
      ...claims !== undefined && { claims },
      ...fmiPath !== undefined && { fmiPath },
      // MSAL sends these, but leaves them out of its type.
      ...{ extraQueryParameters: withEncodedNames(request.extraQueryParameters) } as Partial<ClientCredentialRequest>,
    })
    return toToken(result, { tenantId: authority.tenantId, scopes, correlationId }, now)
  } catch (error) {
    throw toAcquisitionError(error, networkClient.evidence, { provider: `Entra ID (tenant ${authority.tenantId}, client ${authority.clientId})`, signal, correlationId })
  }
}

/** MSAL encodes the values alone: a name with an ampersand in it would be two parameters. */
function withEncodedNames (parameters: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(parameters).map(([name, value]) => [encodeURIComponent(name), value]))
}

/** MSAL takes https authorities only; where a token is really asked for is in {@link authorityMetadata}. */
function msalAuthority ({ instance, tenantId }: Authority): string {
  return `${instance.replace(/^http:/, 'https:')}${tenantId}`
}

/** What MSAL would otherwise ask the authority for. Entra ID's endpoints follow from the authority, so that no request is needed. */
function authorityMetadata ({ instance, tenantId, tokenEndpoint }: Authority): string {
  return JSON.stringify({
    issuer: `${instance}${tenantId}/v2.0`,
    authorization_endpoint: `${instance}${tenantId}/oauth2/v2.0/authorize`,
    token_endpoint: tokenEndpoint,
    jwks_uri: `${instance}${tenantId}/discovery/v2.0/keys`,
  })
}
