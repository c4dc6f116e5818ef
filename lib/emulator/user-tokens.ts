import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { guidText as guid } from '../configuration/value-schemas.ts'
import { parse, type Directory, type Resource } from './directory.ts'
import type { UserTokenContents, UserTokenIssuer } from './user-token-issuer.ts'

/** The client that users sign in with unless a test says another. */
const CLIENT_ID = '0ad0c11e-0000-4000-8000-000000000000'

const texts = v.array(v.string())
const userToken = v.strictObject({
  /** The API: client id or App ID URI. Default: the app that was registered first. */
  audience: v.optional(v.string()),
  /** Tenant of the user. Default: the API's. */
  tenantId: v.optional(guid),
  /** The client that the user signed in with: `azp`, or `appid` in version 1.0. Default: the same for all. */
  clientId: v.optional(guid, CLIENT_ID),
  /** `scp`: a list, or text split on spaces. Default: all that the API exposes, else 'access_as_user'. */
  scopes: v.optional(v.union([v.string(), texts], 'expected text, or a list of texts')),
  /** App roles of the user. Default: none. */
  roles: v.optional(texts, []),
  /** `oid` of the user. Default: the same for all of an emulator. */
  objectId: v.optional(guid),
  /** `sub`. Default: pairwise, by the user and the audience. */
  subject: v.optional(v.string()),
  /** Default: 'A User'. */
  name: v.optional(v.string(), 'A User'),
  /** Default: 'user@example.com'. */
  preferredUsername: v.optional(v.string(), 'user@example.com'),
  /** How the user signed in. Default: ['pwd']. */
  amr: v.optional(texts, ['pwd']),
  /** Authentication contexts of Conditional Access that the sign-in meets. Default: none. */
  acrs: v.optional(texts, []),
  /** Version of the token: '1.0' has the issuer, audience and names of v1.0. Default: '2.0'. */
  version: v.optional(v.picklist(['1.0', '2.0'], 'expected 1.0 or 2.0'), '2.0'),
  /** Whether the client is one that cannot prove itself, as in a browser: `azpacr` '0'. Default: false, which is '1'. */
  isPublicClient: v.optional(v.boolean(), false),
  /** Seconds that the token lives; below 0 it has expired. Default: that of access tokens. */
  lifetime: v.optional(v.pipe(v.number(), v.integer('expected whole seconds'))),
  /** Claims that are put over all others. One that is `undefined` is left out. */
  claims: v.optional(v.record(v.string(), v.unknown()), {}),
})

/** A token of a signed-in user. */
export type UserTokenOptions = v.InferInput<typeof userToken>

export interface UserTokensOptions {
  readonly directory: Directory
  readonly issuer: UserTokenIssuer
  /** Seconds that a token lives unless a test says another. */
  readonly lifetime: number
}

/** The tokens that a client has got for users who signed in with it. */
export class UserTokens {
  readonly #options: UserTokensOptions
  readonly #objectId = randomUUID()

  constructor (options: UserTokensOptions) {
    this.#options = options
  }

  /** @throws TypeError when an argument is not right, or the API is not registered */
  async issueAccessToken (options: UserTokenOptions): Promise<string> {
    const what = 'issueUserToken'
    const parsed = parse(userToken, options, what)
    const { scopes, isPublicClient } = parsed
    const { resource, contents } = this.#contents(parsed, what)
    const scopeList = scopes === undefined ? resource.defaultScopes : [scopes].flat().flatMap(text => text.split(' ')).filter(Boolean)
    return this.#options.issuer.issueAccessToken({ ...contents, resource, scopes: scopeList, proof: isPublicClient ? '0' : '1' })
  }

  /** @throws TypeError when an argument is not right, or the API is not registered */
  async issueIdToken (options: UserTokenOptions): Promise<string> {
    const what = 'issueIdToken'
    const { contents } = this.#contents(parse(userToken, options, what), what)
    return this.#options.issuer.issueIdToken({ ...contents, nonce: randomUUID() })
  }

  #contents ({ audience, tenantId, clientId, roles, objectId = this.#objectId, subject, name, preferredUsername, amr, acrs, version, lifetime = this.#options.lifetime, claims }: v.InferOutput<typeof userToken>, what: string): { resource: Resource, contents: UserTokenContents } {
    const api = this.#options.directory.api(audience, tenantId)
    if (api === undefined) throw new TypeError(`${what}: audience: ${audience === undefined ? 'no app is registered' : `'${audience}' is not registered`}; register the API first`)
    const user = { tenantId: tenantId ?? api.tenantId, objectId, name, preferredUsername, amr, acrs }
    return { resource: api.resource, contents: { user, clientId, roles, subject, version, lifetime, claims } }
  }
}
