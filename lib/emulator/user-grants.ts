import type { TokenVersion } from '../authorities/openid-configuration.ts'
import { requestedClaimsOf } from './claims-parameter.ts'
import type { Directory, RegisteredApp } from './directory.ts'
import { EntraRefusal } from './entra-error.ts'
import type { RefreshTokens } from './refresh-tokens.ts'
import type { RecordedUser } from './request-log.ts'
import { requestedScopes } from './requested-scopes.ts'
import { required } from './required.ts'
import type { SigningKeys } from './signing-keys.ts'
import type { ClientProof } from './token-issuer.ts'
import { verifyUserAssertion, type SignedInUser } from './user-assertion.ts'
import type { UserRules } from './user-rules.ts'
import type { UserTokenIssuer } from './user-token-issuer.ts'

/** A client that has proved itself. */
export interface ProvenClient {
  readonly app: RegisteredApp
  readonly proof: ClientProof
}

/** A token request of such a client. */
export interface GrantRequest {
  /** Id of the tenant that is asked. */
  readonly tenantId: string
  readonly form: Readonly<Record<string, string>>
  /** Is told whose token is asked for, once that is verified. */
  readonly onUser: (user: RecordedUser) => void
}

/** What a grant gives. */
export interface Granted {
  readonly access_token: string
  readonly scope?: string
  readonly refresh_token?: string
  readonly id_token?: string
  readonly client_info?: string
}

export interface UserGrantsOptions {
  readonly directory: Directory
  readonly keys: SigningKeys
  /** `iss` of a tenant. */
  readonly issuerOf: (tenantId: string, version: TokenVersion) => string
  readonly issuer: UserTokenIssuer
  readonly refreshTokens: RefreshTokens
  readonly rules: UserRules
  /** Seconds that the tokens live. */
  readonly lifetime: number
  readonly now: () => number
}

/** What is asked for, and for whom. */
interface Asked {
  readonly user: SignedInUser
  readonly scope: string
  /** Whether a refresh token is redeemed, which is answered with a new one. */
  readonly isRefresh?: boolean
}

/** The grants that give tokens of users to web APIs. */
export class UserGrants {
  readonly #options: UserGrantsOptions

  constructor (options: UserGrantsOptions) {
    this.#options = options
  }

  /**
   * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow
   * @throws EntraRefusal
   */
  async onBehalfOf (client: ProvenClient, request: GrantRequest): Promise<Granted> {
    const { directory, keys, issuerOf, now } = this.#options
    const { form } = request
    if (required(form, 'requested_token_use') !== 'on_behalf_of') throw new EntraRefusal(9002313, 'The requested_token_use must be on_behalf_of.')
    const issuersOf = (tenantId: string) => [issuerOf(tenantId, '1.0'), issuerOf(tenantId, '2.0')]
    const user = await verifyUserAssertion(required(form, 'assertion'), { app: client.app, directory, keys: keys.known, issuersOf, now: now() })
    return this.#grant(client, request, { user, scope: required(form, 'scope') })
  }

  /**
   * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#refresh-the-access-token
   * @throws EntraRefusal
   */
  async refresh (client: ProvenClient, request: GrantRequest): Promise<Granted> {
    const { form, tenantId } = request
    const { user, scope } = this.#options.refreshTokens.redeem(required(form, 'refresh_token'), { clientId: client.app.clientId, tenantId })
    return this.#grant(client, request, { user, scope: form['scope'] || scope, isRefresh: true })
  }

  async #grant ({ app, proof }: ProvenClient, { tenantId, form, onUser }: GrantRequest, { user, scope, isRefresh = false }: Asked): Promise<Granted> {
    const { directory, issuer, refreshTokens, rules, lifetime } = this.#options
    const { clientId } = app
    onUser({ objectId: user.objectId, tenantId: user.tenantId })
    const { resource, scopes, granted, openId } = requestedScopes(directory, tenantId, scope)
    const claims = requestedClaimsOf(form['claims'])
    rules.check({ user, clientId, resource, claims })

    const contents = { user, clientId, version: '2.0', lifetime } as const
    const { clientCapabilities, capolids } = claims
    const hasClientInfo = form['client_info'] === '1'
    return {
      access_token: await issuer.issueAccessToken({ ...contents, resource, scopes, proof, clientCapabilities, claims: capolids.length > 0 ? { capolids } : {} }),
      scope: granted,
      ...(isRefresh || openId.has('offline_access')) && { refresh_token: refreshTokens.issue({ clientId, tenantId }, user, scope) },
      ...(openId.has('openid') || hasClientInfo) && { id_token: await issuer.issueIdToken(contents) },
      ...hasClientInfo && { client_info: Buffer.from(JSON.stringify({ uid: user.objectId, utid: user.tenantId })).toString('base64url') },
    }
  }
}
