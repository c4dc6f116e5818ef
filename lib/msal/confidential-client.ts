import { randomUUID } from 'node:crypto'
import type { AuthenticationResult, ClientCredentialRequest, ConfidentialClientApplication } from '@azure/msal-node'
import { authorityUrl, type Authority } from '../authorities/authority.ts'
import type { ClientAuthentication, ClientAuthenticationContext } from '../credentials/client-credential.ts'
import type { Proof } from '../credentials/client-credentials.ts'
import { ChallengeUserError, TokenAcquisitionError, UserTokenRequiredError } from '../errors.ts'
import { clientOf, type Sessions } from '../sessions/sessions.ts'
import type { Clock } from '../tokens/clock.ts'
import type { Token } from '../tokens/token.ts'
import { isOfUser, type ClientCredentialsRequest, type Flow as FlowName, type LongRunningRequest, type ManagedIdentityRequest, type OnBehalfOfRequest } from '../tokens/token-request.ts'
import type { WorkloadIdentity } from '../tokens/workload-identity.ts'
import { MsalNetworkClient } from './network-client.ts'
import { isCredentialRefused, toAcquisitionError } from './acquisition-error.ts'
import { toToken } from './msal-token.ts'
import { requireTenantOfToken } from './token-tenant.ts'
import type { AppAcquisition } from './acquisition.ts'

/**
 * Acquires a token for the app itself.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
 * @throws TokenAcquisitionError
 */
export async function acquireWithClientCredential (request: ClientCredentialsRequest, acquisition: AppAcquisition): Promise<Token> {
  const { authority, fmiPath } = request
  return acquireProven(request, acquisition, {
    tokenEndpoint: await acquisition.endpoints.forApp(authority, acquisition.signal),
    prove: provingApp(request, acquisition),
    acquire: (client, common) => client.acquireTokenByClientCredential({ ...common, ...fmiPath !== undefined && { fmiPath } }),
  })
}

/**
 * Acquires a token on behalf of the user whose token the app was called with.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow
 * @throws ChallengeUserError where it needs the user
 * @throws TokenAcquisitionError
 */
export async function acquireOnBehalfOf (request: OnBehalfOfRequest, acquisition: AppAcquisition): Promise<Token> {
  const { authority, userAssertion: oboAssertion, endsOn } = request
  const token = await acquireProven(request, acquisition, {
    tokenEndpoint: await acquisition.endpoints.forUser(authority, acquisition.signal),
    prove: provingApp(request, acquisition),
    acquire: (client, common) => client.acquireTokenOnBehalfOf({ ...common, oboAssertion }),
  })
  // What it was exchanged for lets nobody in any longer then.
  return endsOn === undefined || token.expiresOn <= endsOn ? token : token.with({ expiresOn: endsOn })
}

/**
 * Acquires a token of a long-running session, which begins with the caller's token and goes on with its refresh token.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow
 * @throws TokenAcquisitionError
 * @throws UserTokenRequiredError when there is no session, and no caller with whom one could begin
 */
export async function acquireLongRunning (request: LongRunningRequest, sessions: Sessions, acquisition: AppAcquisition, clock: Clock): Promise<Token> {
  const { sessionKey, owner, userTenant: tenantId, userAssertion, authority } = request
  const client = clientOf(authority)
  const since = clock.elapsed()
  const tokenEndpoint = await acquisition.endpoints.forUser(authority, acquisition.signal)
  const acquireBy = async (acquire: Acquire) => {
    let refreshToken: string | undefined
    const token = await acquireProven(request, { ...acquisition, onRefreshToken: given => { refreshToken = given } }, { tokenEndpoint, prove: provingApp(request, acquisition), acquire })
    return { token, refreshToken }
  }

  const session = await sessions.findOf(sessionKey, { owner, client })
  const { token, refreshToken = session?.refreshToken } = await begunOrGoneOn()
  if (refreshToken === undefined) throw new TokenAcquisitionError('No long-running session: Entra ID gave no refresh token. Allow the app offline_access', { retryable: false })
  await sessions.keep(sessionKey, { owner, client, tenantId, refreshToken }, since, session === undefined)
  return token

  async function begunOrGoneOn () {
    const begin = userAssertion === undefined ? undefined : () => acquireBy((client, common) => client.acquireTokenOnBehalfOf({ ...common, oboAssertion: userAssertion }))
    if (session === undefined) {
      if (begin === undefined) throw new UserTokenRequiredError('There is no long-running session with this key, or it has ended: begin one in a request of the user')
      return begin()
    }
    try {
      return await acquireBy((client, { skipCache: _, ...common }) => client.acquireTokenByRefreshToken({ ...common, refreshToken: session.refreshToken }))
    } catch (error) {
      // A refresh token that is not accepted any longer is no loss where the user is there.
      if (begin === undefined || !(error instanceof ChallengeUserError)) throw error
      return begin()
    }
  }
}

/**
 * Acquires a token for a workload identity: the token that its platform has put into a file is exchanged.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#third-case-access-token-request-with-a-federated-credential
 * @throws TokenAcquisitionError
 * @throws CredentialNotLoadedError when the file cannot be used
 */
export async function acquireWithWorkloadIdentity (request: ManagedIdentityRequest, { authority, tokenFile }: WorkloadIdentity, acquisition: AppAcquisition): Promise<Token> {
  const { flow, scopes, claims, clientCapabilities, correlationId } = request
  const proven = { flow, authority, scopes, claims, clientCapabilities, correlationId, extraQueryParameters: {}, extraHeadersParameters: {} }
  return acquireProven(proven, acquisition, {
    tokenEndpoint: authority.tokenEndpoint,
    prove: context => acquisition.credentials.proveWorkload(tokenFile, context),
    acquire: (client, common) => client.acquireTokenByClientCredential(common),
  })
}

/** What all flows say. */
type ProvenRequest = Pick<ClientCredentialsRequest, 'authority' | 'scopes' | 'claims' | 'clientCapabilities' | 'extraQueryParameters' | 'extraHeadersParameters' | 'correlationId'> & { readonly flow: FlowName }

type Prove = (context: ClientAuthenticationContext) => Promise<Proof>

function provingApp ({ app }: Pick<ClientCredentialsRequest, 'app'>, { credentials }: AppAcquisition): Prove {
  return context => credentials.prove(app, context)
}

/** What all requests have in common. */
type CommonRequest = Required<Pick<ClientCredentialRequest, 'scopes' | 'skipCache' | 'correlationId'>> & Pick<ClientCredentialRequest, 'claims'>

type Acquire = (client: ConfidentialClientApplication, common: CommonRequest) => Promise<AuthenticationResult | null>

/** What tells the flows apart. */
interface Flow {
  /** Where the token is asked for. */
  readonly tokenEndpoint: string
  readonly prove: Prove
  readonly acquire: Acquire
}

/** Proves the client, and once more where Entra ID refuses the credential in a way that one that is loaded anew may cure. */
async function acquireProven (request: ProvenRequest, acquisition: AppAcquisition, { tokenEndpoint, prove, acquire }: Flow): Promise<Token> {
  const { clientId, tenantId } = request.authority
  const context = { clientId, tenantId, tokenEndpoint, signal: acquisition.signal }
  const { authentication, reload } = await prove(context)
  try {
    return await acquireAlone(request, acquisition, { tokenEndpoint, authentication }, acquire)
  } catch (error) {
    if (reload === undefined || !isCredentialRefused(error)) throw error
    if (!await succeeds(reload())) throw error
    return acquireAlone(request, acquisition, { tokenEndpoint, authentication: (await prove(context)).authentication }, acquire)
  }
}

/** A credential that cannot be loaded anew has said so in the log. */
function succeeds (work: Promise<void>): Promise<boolean> {
  return work.then(() => true, () => false)
}

/**
 * Runs one acquisition with an MSAL client of its own, which is dropped with the caches and throttling notes it made:
 * nothing of one request can answer another.
 */
async function acquireAlone (
  request: ProvenRequest,
  { signal, dispatcher, now, onRefreshToken }: AppAcquisition,
  { tokenEndpoint, authentication }: { tokenEndpoint: string, authentication: ClientAuthentication },
  acquire: Acquire
): Promise<Token> {
  const { authority, scopes, claims, clientCapabilities } = request
  const { ConfidentialClientApplication } = await import('@azure/msal-node')

  const correlationId = request.correlationId ?? randomUUID()
  const networkClient = new MsalNetworkClient({ dispatcher, signal, now, headers: { 'client-request-id': correlationId }, extraHeaders: request.extraHeadersParameters })
  const client = new ConfidentialClientApplication({
    auth: {
      clientId: authority.clientId,
      authority: msalAuthority(authority),
      knownAuthorities: [new URL(authority.instance).host],
      authorityMetadata: authorityMetadata(authority, tokenEndpoint),
      clientCapabilities: [...clientCapabilities],
      ...authentication,
    },
    system: { networkClient },
  })
  try {
    const result = await acquire(client, {
      scopes: [...scopes],
      skipCache: true,
      correlationId,
      ...claims !== undefined && { claims },
      // MSAL sends these, but leaves them out of its type.
      ...{ extraQueryParameters: withEncodedNames(request.extraQueryParameters) },
    })
    const token = toToken(result, { tenantId: authority.tenantId, scopes, correlationId }, now)
    requireTenantOfToken(token.accessToken, authority.tenantId)
    const refreshToken = networkClient.evidence.body?.['refresh_token']
    if (typeof refreshToken === 'string' && refreshToken !== '') onRefreshToken?.(refreshToken)
    return token
  } catch (error) {
    throw toAcquisitionError(error, networkClient.evidence, { provider: 'entra-id', who: 'Entra ID', signal, correlationId, now, onBehalfOf: isOfUser(request) ? request : undefined })
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

/** What MSAL would otherwise ask the authority for. Whether it is asked, and for which region, is decided before. */
function authorityMetadata (authority: Authority, tokenEndpoint: string): string {
  const base = authorityUrl(authority)
  return JSON.stringify({
    issuer: `${base}v2.0`,
    authorization_endpoint: `${base}oauth2/v2.0/authorize`,
    token_endpoint: tokenEndpoint,
    jwks_uri: `${base}discovery/v2.0/keys`,
  })
}
