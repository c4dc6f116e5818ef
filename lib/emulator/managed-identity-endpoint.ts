import type { ArcKey } from './arc-key.ts'
import type { Directory, ManagedIdentitySourceName, RegisteredManagedIdentity } from './directory.ts'
import { managedIdentityProtocols, type ManagedIdentityProtocol, type ManagedIdentityRequest } from './managed-identity-protocols.ts'
import { Refusal } from './refusal.ts'
import type { TokenIssuer } from './token-issuer.ts'

export interface ManagedIdentityEndpointOptions {
  readonly directory: Directory
  readonly issuer: TokenIssuer
  readonly now: () => number
  /** Seconds; `undefined` is Azure's own, nearly a day. */
  readonly accessTokenLifetime: number | undefined
  /** What a platform gives the process, and the process must send back. */
  readonly identityHeader: string
  readonly arcKey: ArcKey
}

const DEFAULT_LIFETIME = 86_399

/** All that select an identity somewhere. */
const anySelector = ['client_id', 'clientid', 'object_id', 'mi_res_id', 'msi_res_id']

/** Judges token requests as the managed identity endpoints of Azure do. */
export class ManagedIdentityEndpoint {
  readonly #options: ManagedIdentityEndpointOptions
  readonly #protocols: Readonly<Record<ManagedIdentitySourceName, ManagedIdentityProtocol>>

  constructor (options: ManagedIdentityEndpointOptions) {
    this.#options = options
    this.#protocols = managedIdentityProtocols(options)
  }

  /** @throws Refusal */
  async answer (source: ManagedIdentitySourceName, request: ManagedIdentityRequest): Promise<Record<string, string | number>> {
    const { directory, issuer, now, accessTokenLifetime: lifetime = DEFAULT_LIFETIME } = this.#options
    const { check, answer, words = {} } = this.#protocols[source]
    check(request)
    const { resource: asked } = request.parameters
    if (!asked) throw words.noResource?.() ?? new Refusal(400, 'invalid_request', 'The resource parameter is missing')

    const identity = this.#identity(source, request.parameters)
    const resource = directory.resource(identity.tenantId, asked)
    if (resource === undefined) throw words.noSuchResource?.(asked) ?? new Refusal(400, 'invalid_resource', `AADSTS500011: The resource '${asked}' was not found in the tenant. Register the API, or check the resource`)

    const accessToken = await issuer.issue({
      principal: identity,
      audience: resource.audience,
      roles: directory.rolesOf(identity, resource),
      azpacr: '2',
      resourceId: identity.resourceId,
      lifetime,
    })
    return answer({ accessToken, resource: asked, identity, issuedOn: Math.floor(now() / 1000), lifetime })
  }

  /**
   * A refused request in the shape of the platform.
   *
   * @throws Error when the key of an Arc machine cannot be written
   */
  refuse (source: ManagedIdentitySourceName, refusal: Refusal): { body: object, headers: Record<string, string> } {
    const { errorBody, challenge } = this.#protocols[source]
    return { body: errorBody(refusal), headers: refusal.status === 401 && challenge !== undefined ? { 'www-authenticate': challenge() } : {} }
  }

  #identity (source: ManagedIdentitySourceName, parameters: Readonly<Record<string, string>>): RegisteredManagedIdentity {
    const { selectors, words = {} } = this.#protocols[source]
    const known = Object.values(selectors)
    const given = anySelector.filter(name => parameters[name] !== undefined)
    // Azure leaves unread what it does not know, and answers as another identity: a test had better see it.
    const unknown = given.find(name => !known.includes(name))
    if (unknown !== undefined) throw new Refusal(400, 'invalid_request', `The parameter ${unknown} does not select an identity here; ${known.join(', ') || 'nothing'} does`)
    if (given.length > 1) throw new Refusal(400, 'invalid_request', `At most one of ${known.join(', ')} selects an identity`)

    const ids = Object.fromEntries(Object.entries(selectors).map(([id, name]) => [id, parameters[name]]))
    const identity = this.#options.directory.managedIdentity(source, ids)
    if (identity === undefined) throw words.noIdentity?.() ?? new Refusal(400, 'invalid_request', 'Identity not found')
    return identity
  }
}
