import { timingSafeEqual, createHash } from 'node:crypto'
import { readAssertion } from './assertion.ts'
import { requestedClaimsOf } from './claims-parameter.ts'
import { comparable, verifyClientAssertion } from './client-assertion.ts'
import type { Directory, RegisteredApp } from './directory.ts'
import { EntraRefusal } from './entra-error.ts'
import { verifyFederatedAssertion } from './federated-credential.ts'
import type { IssuerKeys } from './issuer-keys.ts'
import { required } from './required.ts'
import { encrypted } from './token-encryption.ts'
import type { TokenIssuer } from './token-issuer.ts'
import type { Granted, GrantRequest, ProvenClient, UserGrants } from './user-grants.ts'

/** A request to `/{tenant}/oauth2/v2.0/token`. */
export interface TokenRequest {
  /** Where it was sent, as the client addressed it. */
  readonly url: string
  /** Id or domain of the tenant, as the path has it. */
  readonly tenantId: string
  readonly form: Readonly<Record<string, string>>
  /** Value of the `Authorization` header. */
  readonly authorization: string | undefined
  /** Is told whose token is asked for, once that is verified. */
  readonly onUser: GrantRequest['onUser']
}

/** A successful answer, RFC 6749 section 5.1. */
export interface TokenAnswer extends Granted {
  readonly token_type: 'Bearer'
  readonly expires_in: number
  readonly ext_expires_in: number
  readonly refresh_in?: number
}

export interface TokenEndpointOptions {
  readonly directory: Directory
  readonly issuer: TokenIssuer
  /** `iss` of a tenant. */
  readonly issuerOf: (tenantId: string) => string
  readonly issuerKeys: IssuerKeys
  readonly userGrants: UserGrants
  /** Seconds that access tokens live. */
  readonly lifetime: number
  /** Seconds after which a token is to be renewed. Default: half of a life of more than two hours, else not told. */
  readonly refreshIn: number | undefined
  readonly now: () => number
}

const TWO_HOURS = 7200
const CLIENT_ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const ON_BEHALF_OF = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/**
 * Judges token requests as Entra ID does.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
 */
export class TokenEndpoint {
  readonly #options: TokenEndpointOptions

  /** The grants, each a way from a proven client's request to what it is given. */
  readonly #grants: Readonly<Record<string, (client: ProvenClient, request: GrantRequest) => Promise<Granted>>> = {
    client_credentials: (client, request) => this.#clientCredentials(client, request),
    refresh_token: (client, request) => this.#options.userGrants.refresh(client, request),
    [ON_BEHALF_OF]: (client, request) => this.#options.userGrants.onBehalfOf(client, request),
  }

  constructor (options: TokenEndpointOptions) {
    this.#options = options
  }

  /** @throws EntraRefusal */
  async answer (request: TokenRequest): Promise<TokenAnswer> {
    const { directory, lifetime, refreshIn } = this.#options
    const grantType = required(request.form, 'grant_type')
    const grant = Object.hasOwn(this.#grants, grantType) ? this.#grants[grantType] : undefined
    if (grant === undefined) throw new EntraRefusal(70003, `It was '${grantType}'.`)
    // The meta-tenants have no app either: nobody can be registered in them.
    const tenantId = directory.tenantId(request.tenantId)
    if (tenantId === undefined) throw new EntraRefusal(90002, `It was '${request.tenantId}'.`)

    const inTenant = { ...request, tenantId }
    const granted = await grant(await this.#authenticate(inTenant), inTenant)
    return {
      token_type: 'Bearer',
      expires_in: lifetime,
      ext_expires_in: lifetime,
      ...refreshMember(refreshIn, lifetime),
      ...granted,
    }
  }

  /** The client, when it has proved itself: by an assertion, or by its secret, in the body or as RFC 6749 section 2.3.1 has it in the header. */
  async #authenticate (request: TokenRequest): Promise<ProvenClient> {
    const basic = basicCredentials(request.authorization)
    const clientId = basic?.clientId ?? required(request.form, 'client_id')
    const app = this.#options.directory.app(request.tenantId, clientId)
    if (app === undefined) throw new EntraRefusal(700016, `Its identifier was '${clientId}'.`)

    const assertion = request.form['client_assertion']
    if (assertion !== undefined && assertion !== '') {
      await this.#checkAssertion(app, assertion, request)
      return { app, proof: '2' }
    }
    this.#checkSecret(app, basic?.secret ?? request.form['client_secret'])
    return { app, proof: '1' }
  }

  #checkSecret ({ clientId, secrets }: RegisteredApp, secret: string | undefined): void {
    if (secret === undefined || secret === '') throw new EntraRefusal(7000218)
    const known = secrets.find(({ value }) => sameText(value, secret))
    if (known === undefined) throw new EntraRefusal(7000215, `The app was '${clientId}'.`)
    if (known.expiresOn !== undefined && known.expiresOn.getTime() <= this.#options.now()) throw new EntraRefusal(7000222, `The app was '${clientId}'.`)
  }

  /** Of the client's own certificate, or of an issuer that it trusts: issuers are URLs, clients are not. */
  async #checkAssertion (app: RegisteredApp, text: string, { url, tenantId, form }: TokenRequest): Promise<void> {
    const { issuerOf, issuerKeys, now } = this.#options
    if (required(form, 'client_assertion_type') !== CLIENT_ASSERTION) throw new EntraRefusal(9002313, `The client_assertion_type must be ${CLIENT_ASSERTION}.`)
    const assertion = readAssertion(text)
    if (URL.canParse(String(assertion.claims.iss))) return verifyFederatedAssertion(assertion, { app, issuerKeys, now: now() })
    return verifyClientAssertion(assertion, { app, audiences: [url, issuerOf(tenantId)].map(comparable), now: now() })
  }

  async #clientCredentials ({ app, proof }: ProvenClient, { tenantId, form }: GrantRequest): Promise<Granted> {
    const { directory, issuer, lifetime } = this.#options
    const scope = required(form, 'scope')
    if (!/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/.test(scope)) throw new EntraRefusal(70011)
    if (scope.includes(' ') || !/.\/\.default$/i.test(scope)) throw new EntraRefusal(1002012, `It was '${scope}'.`)

    const name = scope.replace(/\/\.default$/i, '')
    const resource = directory.resource(tenantId, name)
    if (resource === undefined) throw new EntraRefusal(500011, `It was '${name}'.`)
    const token = await issuer.issue({
      principal: app,
      audience: resource.audience,
      roles: directory.rolesOf(app, resource),
      azpacr: proof,
      subject: subjectBelow(app, form['fmi_path']),
      clientCapabilities: requestedClaimsOf(form['claims']).clientCapabilities,
      lifetime,
    })
    return { access_token: await encrypted(token, resource.encryptionCertificate) }
  }
}

/** `sub` of a federated managed identity: Entra ID's form, with the ids spelled out. */
function subjectBelow ({ tenantId, clientId }: RegisteredApp, path: string | undefined): string | undefined {
  return path === undefined || path === '' ? undefined : `/eid1/c/pub/t/${tenantId}/a/${clientId}/${path}`
}

/** `refresh_in`, where Entra ID sends it: for tokens that live longer than two hours, half of their life. */
function refreshMember (refreshIn: number | undefined, lifetime: number): { refresh_in?: number } {
  if (refreshIn !== undefined) return { refresh_in: refreshIn }
  return lifetime > TWO_HOURS ? { refresh_in: Math.floor(lifetime / 2) } : {}
}

function basicCredentials (authorization: string | undefined): { clientId: string, secret: string } | undefined {
  const encoded = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(authorization ?? '')?.[1]
  const [clientId, ...secret] = Buffer.from(encoded ?? '', 'base64').toString().split(':')
  if (clientId === undefined || secret.length === 0) return undefined
  return { clientId: decode(clientId), secret: decode(secret.join(':')) }
}

function decode (text: string): string {
  return new URLSearchParams(`v=${text}`).get('v')!
}

function sameText (a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
