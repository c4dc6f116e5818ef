import { randomUUID } from 'node:crypto'
import type { ArcKey } from './arc-key.ts'
import type { ManagedIdentitySourceName, RegisteredManagedIdentity } from './directory.ts'
import { Refusal } from './refusal.ts'

/** A request to a managed identity endpoint. */
export interface ManagedIdentityRequest {
  /** Of the query, or of the form. */
  readonly parameters: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/** What a token is answered with is made of. */
export interface IssuedToken {
  readonly accessToken: string
  readonly resource: string
  readonly identity: RegisteredManagedIdentity
  /** Seconds since the epoch. */
  readonly issuedOn: number
  /** Seconds. */
  readonly lifetime: number
}

/** What the endpoints differ in. */
export interface ManagedIdentityProtocol {
  /** @throws Refusal when the platform does not listen to the request */
  readonly check: (request: ManagedIdentityRequest) => void
  /** The parameters that select an identity; none where the platform gives the identity. */
  readonly selectors: { readonly clientId?: string, readonly objectId?: string, readonly resourceId?: string }
  readonly answer: (token: IssuedToken) => Record<string, string | number>
  readonly errorBody: (refusal: Refusal) => object
  /** How the platform says what all refuse, where it has words of its own. */
  readonly words?: { readonly noResource?: () => Refusal, readonly noIdentity?: () => Refusal, readonly noSuchResource?: (resource: string) => Refusal }
  /** The `WWW-Authenticate` header of a 401. */
  readonly challenge?: () => string
}

export interface ProtocolOptions {
  /** What the platform gives the process, and the process must send back. */
  readonly identityHeader: string
  readonly arcKey: ArcKey
}

const anyId = { clientId: 'client_id', objectId: 'object_id', resourceId: 'msi_res_id' }

/** The protocols of all managed identity endpoints. */
export function managedIdentityProtocols ({ identityHeader, arcKey }: ProtocolOptions): Readonly<Record<ManagedIdentitySourceName, ManagedIdentityProtocol>> {
  return {
    /** @see https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference */
    'app-service': {
      check ({ parameters, headers }) {
        if (headers['x-identity-header'] !== identityHeader) throw new Refusal(401, 'unauthorized', 'The header X-IDENTITY-HEADER is missing or not that of this process')
        if (parameters['api-version'] !== '2019-08-01') throw new Refusal(400, 'invalid_request', 'The parameter api-version must be 2019-08-01')
      },
      selectors: { ...anyId, resourceId: 'mi_res_id' },
      answer: token => ({ ...common(token), expires_on: expiry(token), client_id: token.identity.clientId }),
      errorBody: statusAndMessage,
    },

    /** @see https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#get-a-token-using-http */
    imds: {
      check: requireMachine('2018-02-01'),
      selectors: anyId,
      answer: token => ({ ...common(token), ...times(token), client_id: token.identity.clientId }),
      errorBody: oauthError,
    },

    /** @see https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication */
    'azure-arc': {
      check (request) {
        requireMachine('2019-11-01')(request)
        if (request.headers['authorization'] !== arcKey.authorization) throw new Refusal(401, 'unauthorized', 'The header Authorization is missing or not the key of this machine')
      },
      selectors: anyId,
      answer: token => ({ ...common(token), ...times(token), ...!token.identity.isSystemAssigned && echo(token.identity) }),
      errorBody: oauthError,
      challenge: () => arcKey.challenge,
    },

    /** @see https://learn.microsoft.com/azure/cloud-shell/msi-authorization */
    'cloud-shell': {
      check ({ headers }) {
        if (headers['metadata'] !== 'true') throw new Refusal(400, 'BadRequest', 'Required metadata header not specified')
      },
      selectors: {},
      answer: token => ({ ...common(token), ...times(token), refresh_token: '' }),
      errorBody: ({ error, message }) => ({ error: { code: error, message } }),
      words: { noSuchResource: resource => new Refusal(400, 'AudienceNotSupported', `Audience ${resource} is not a supported MSI token audience.`) },
    },

    /** @see https://learn.microsoft.com/azure/service-fabric/how-to-managed-identity-service-fabric-app-code#acquiring-an-access-token-using-rest-api */
    'service-fabric': {
      check ({ parameters, headers }) {
        if (headers['secret'] === undefined) throw new Refusal(400, 'SecretHeaderNotFound', 'Secret is not found in the request headers.')
        if (headers['secret'] !== identityHeader) throw noFabricIdentity()
        if (parameters['api-version'] !== '2019-07-01-preview') throw new Refusal(400, 'InvalidApiVersion', `The api-version '${parameters['api-version'] ?? ''}' is not supported. Supported version is '2019-07-01-preview'.`)
      },
      selectors: {},
      answer: token => ({ ...common(token), expires_on: token.issuedOn + token.lifetime }),
      errorBody: ({ error, message }) => ({ error: { correlationId: randomUUID(), code: error, message } }),
      words: { noIdentity: noFabricIdentity, noResource: () => new Refusal(400, 'ArgumentNullOrEmpty', "The parameter 'resource' should not be null or empty string.") },
    },

    /** @see https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/5167 */
    'machine-learning': {
      check ({ parameters, headers }) {
        if (headers['secret'] !== identityHeader) throw new Refusal(401, 'unauthorized', 'The header secret is missing or not that of this process')
        if (parameters['api-version'] !== '2017-09-01') throw new Refusal(400, 'invalid_request', 'The parameter api-version must be 2017-09-01')
        if (!parameters['clientid']) throw new Refusal(400, 'invalid_request', 'The parameter clientid is missing; DEFAULT_IDENTITY_CLIENT_ID has that of the system-assigned identity')
      },
      selectors: { clientId: 'clientid' },
      answer: token => ({ ...common(token), expires_on: token.issuedOn + token.lifetime }),
      errorBody: statusAndMessage,
    },
  }
}

function noFabricIdentity (): Refusal {
  return new Refusal(404, 'ManagedIdentityNotFound', 'Managed identity not found for the specified application host.')
}

/** What endpoints on a machine ask of everybody on it. */
function requireMachine (earliest: string): ManagedIdentityProtocol['check'] {
  return ({ parameters, headers }) => {
    if (headers['metadata'] !== 'true') throw new Refusal(400, 'invalid_request', 'Required metadata header not specified')
    if (headers['x-forwarded-for'] !== undefined) throw new Refusal(400, 'invalid_request', 'A request that has passed a proxy is refused')
    const version = parameters['api-version'] ?? ''
    if (!/^\d{4}-\d\d-\d\d$/.test(version) || version < earliest) throw new Refusal(400, 'bad_request_102', 'Required query variable api-version is missing or not supported')
  }
}

function common ({ accessToken, resource }: IssuedToken) {
  return { access_token: accessToken, resource, token_type: 'Bearer' }
}

function times (token: IssuedToken) {
  const { issuedOn, lifetime } = token
  return { expires_in: String(lifetime), expires_on: expiry(token), ext_expires_in: String(lifetime), not_before: String(issuedOn) }
}

function expiry ({ issuedOn, lifetime }: IssuedToken): string {
  return String(issuedOn + lifetime)
}

/** By this, a client knows that it was not given another identity. */
function echo ({ clientId, objectId, resourceId }: RegisteredManagedIdentity) {
  return { client_id: clientId, object_id: objectId, ...resourceId !== undefined && { msi_res_id: resourceId } }
}

function statusAndMessage ({ status, message }: Refusal): object {
  return { statusCode: status, message }
}

function oauthError ({ error, message }: Refusal): object {
  return { error, error_description: message }
}
