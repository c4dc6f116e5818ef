import type { Directory, ManagedIdentitySourceName, RegisteredManagedIdentity } from './directory.ts'
import { Refusal } from './refusal.ts'
import type { TokenIssuer } from './token-issuer.ts'

/** A request to a managed identity endpoint. */
export interface ManagedIdentityRequest {
  readonly query: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/** What the endpoints differ in. */
interface Protocol {
  readonly check: (request: ManagedIdentityRequest) => void
  /** The query parameters that select an identity. */
  readonly selectors: { readonly clientId: string, readonly objectId: string, readonly resourceId: string }
  readonly answer: (token: IssuedToken) => Record<string, string>
}

interface IssuedToken {
  readonly accessToken: string
  readonly resource: string
  readonly clientId: string
  /** Seconds since the epoch. */
  readonly issuedOn: number
  /** Seconds. */
  readonly lifetime: number
}

export interface ManagedIdentityEndpointOptions {
  readonly directory: Directory
  readonly issuer: TokenIssuer
  readonly now: () => number
  /** Seconds; `undefined` is Azure's own, nearly a day. */
  readonly accessTokenLifetime: number | undefined
  /** What App Service gives the process, and the process must send back. */
  readonly identityHeader: string
}

const DEFAULT_LIFETIME = 86_399

/**
 * Judges token requests as the managed identity endpoints of Azure do.
 *
 * @see https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
 * @see https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#get-a-token-using-http
 */
export class ManagedIdentityEndpoint {
  readonly #options: ManagedIdentityEndpointOptions
  readonly #protocols: Readonly<Record<ManagedIdentitySourceName, Protocol>>

  constructor (options: ManagedIdentityEndpointOptions) {
    this.#options = options
    this.#protocols = { 'app-service': appService(options.identityHeader), imds }
  }

  /** @throws Refusal */
  async answer (source: ManagedIdentitySourceName, request: ManagedIdentityRequest): Promise<Record<string, string>> {
    const { directory, issuer, now, accessTokenLifetime: lifetime = DEFAULT_LIFETIME } = this.#options
    const { check, selectors, answer } = this.#protocols[source]
    check(request)
    const { resource: asked } = request.query
    if (!asked) throw new Refusal(400, 'invalid_request', 'The resource parameter is missing')

    const identity = this.#identity(source, selectors, request.query)
    const resource = directory.resource(identity.tenantId, asked)
    if (resource === undefined) throw new Refusal(400, 'invalid_resource', `AADSTS500011: The resource '${asked}' was not found in the tenant. Register the API, or check the resource`)

    const accessToken = await issuer.issue({
      principal: identity,
      audience: resource.audience,
      roles: directory.rolesOf(identity, resource),
      azpacr: '2',
      resourceId: identity.resourceId,
      lifetime,
    })
    return answer({ accessToken, resource: asked, clientId: identity.clientId, issuedOn: Math.floor(now() / 1000), lifetime })
  }

  #identity (source: ManagedIdentitySourceName, selectors: Protocol['selectors'], query: Readonly<Record<string, string>>): RegisteredManagedIdentity {
    const ids = { clientId: query[selectors.clientId], objectId: query[selectors.objectId], resourceId: query[selectors.resourceId] }
    if (Object.values(ids).filter(id => id !== undefined).length > 1) {
      throw new Refusal(400, 'invalid_request', `At most one of ${Object.values(selectors).join(', ')} selects an identity`)
    }
    const identity = this.#options.directory.managedIdentity(source, ids)
    if (identity === undefined) throw new Refusal(400, 'invalid_request', 'Identity not found')
    return identity
  }
}

function appService (identityHeader: string): Protocol {
  return {
    check ({ query, headers }) {
      if (headers['x-identity-header'] !== identityHeader) throw new Refusal(401, 'unauthorized', 'The header X-IDENTITY-HEADER is missing or not that of this process')
      if (query['api-version'] !== '2019-08-01') throw new Refusal(400, 'invalid_request', 'The parameter api-version must be 2019-08-01')
    },
    selectors: { clientId: 'client_id', objectId: 'object_id', resourceId: 'mi_res_id' },
    answer: ({ accessToken, resource, clientId, issuedOn, lifetime }) => ({
      access_token: accessToken,
      expires_on: String(issuedOn + lifetime),
      resource,
      token_type: 'Bearer',
      client_id: clientId,
    }),
  }
}

const imds: Protocol = {
  check ({ query, headers }) {
    if (headers['metadata'] !== 'true') throw new Refusal(400, 'invalid_request', 'Required metadata header not specified')
    if (headers['x-forwarded-for'] !== undefined) throw new Refusal(400, 'invalid_request', 'A request that has passed a proxy is refused')
    if (!/^\d{4}-\d\d-\d\d$/.test(query['api-version'] ?? '') || query['api-version']! < '2018-02-01') throw new Refusal(400, 'bad_request_102', 'Required query variable api-version is missing or not supported')
  },
  selectors: { clientId: 'client_id', objectId: 'object_id', resourceId: 'msi_res_id' },
  answer: ({ accessToken, resource, clientId, issuedOn, lifetime }) => ({
    access_token: accessToken,
    client_id: clientId,
    expires_in: String(lifetime),
    expires_on: String(issuedOn + lifetime),
    ext_expires_in: String(lifetime),
    not_before: String(issuedOn),
    resource,
    token_type: 'Bearer',
  }),
}
