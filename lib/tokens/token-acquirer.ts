import { authorityForApp } from '../authorities/authority.ts'
import { mergeParameters } from '../authorities/query-parameters.ts'
import type { Configuration } from '../configuration/configuration.ts'
import type { AcquireTokenOptions, ManagedIdentityOptions } from '../configuration/schema.ts'
import { DEFAULT_APP_SECTION } from '../configuration/app-options.ts'
import { checkAcquireTokenOptions } from '../configuration/override.ts'
import { NoAuthorityError, UserTokenRequiredError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { identityOf, type Identity } from './identity.ts'
import { requireDefaultScope, resourceOf } from './scopes.ts'
import type { TokenEngine } from './token-engine.ts'
import type { TokenDiagnostics } from './token-diagnostics.ts'
import { identityOfFlow, prepare, type PreparedRequest, type TokenRequest } from './token-request.ts'
import type { Token, TokenSource } from './token.ts'
import { workloadIdentity } from './workload-identity.ts'

/** An access token, as `getTokenForApp` and `getTokenForUser` give it. */
export interface AcquireTokenResult {
  readonly accessToken: string
  readonly expiresOn: Date
  /** The tenant that was asked; `undefined` for a managed identity whose platform knows it. */
  readonly tenantId: string | undefined
  readonly scopes: readonly string[]
  /** Identifies the token request in the sign-in logs of Entra ID. */
  readonly correlationId: string
  readonly tokenType: string
  readonly tokenSource: TokenSource
}

/** Gives access tokens, for code that makes the call itself. */
export interface TokenAcquirer {
  /**
   * A token for the app: of its managed identity where `acquireTokenOptions.managedIdentity` is set, else by its client credential.
   *
   * @param scope ends in `/.default`
   */
  getTokenForApp (scope: string, acquireTokenOptions?: AcquireTokenOptions): Promise<AcquireTokenResult>
  /**
   * A token for the app on behalf of the caller.
   *
   * @param user the raw inbound token, or what `request.user` came from
   */
  getTokenForUser (scopes: string | readonly string[], acquireTokenOptions?: AcquireTokenOptions, user?: unknown): Promise<AcquireTokenResult>
  /** What is known of every token at hand, and of requests that have failed since there was one; never a token. Frozen. */
  diagnostics (): readonly TokenDiagnostics[]
}

/** A token, where it came from, and whose it is. */
export interface AcquiredToken {
  readonly token: Token
  readonly source: TokenSource
  readonly identity: Identity
}

/** The circumstances in which a token is asked for. */
export interface AcquireContext {
  readonly forceRefresh?: boolean | undefined
  /** Ends the wait of this caller only. */
  readonly signal?: AbortSignal | undefined
  readonly logger?: Logger | undefined
}

/** Turns what a call asks for into the request for one token. */
export class ConfiguredTokenAcquirer implements TokenAcquirer {
  readonly #configuration: Configuration
  readonly #engine: TokenEngine
  readonly #logger: Logger

  constructor (configuration: Configuration, engine: TokenEngine, logger: Logger) {
    this.#configuration = configuration
    this.#engine = engine
    this.#logger = logger
  }

  getTokenForApp (scope: string, acquireTokenOptions?: AcquireTokenOptions): Promise<AcquireTokenResult> {
    return this.#getToken('app', [scope], acquireTokenOptions)
  }

  getTokenForUser (scopes: string | readonly string[], acquireTokenOptions?: AcquireTokenOptions, _user?: unknown): Promise<AcquireTokenResult> {
    return this.#getToken('user', [scopes].flat(), acquireTokenOptions)
  }

  /**
   * What a call asks for, so that it can be asked for often.
   *
   * @param options have been checked
   * @param api service name of the downstream API that the token is for
   */
  prepare (identity: Identity, scopes: readonly string[], options: AcquireTokenOptions, api?: string): PreparedRequest {
    return prepare(this.#request(identity, scopes, options), api)
  }

  /** The token at hand; `undefined` where one must be waited for. */
  atHand (prepared: PreparedRequest): Token | undefined {
    return this.#engine.atHand(prepared)
  }

  async acquire (prepared: PreparedRequest, { forceRefresh, signal, logger = this.#logger }: AcquireContext): Promise<AcquiredToken> {
    const { token, source } = await this.#engine.acquire(prepared, { forceRefresh, signal })
    if (source !== 'cache') {
      const { flow, scopes, api } = prepared.description
      logger.debug({ flow, scopes, api, tokenSource: source, correlationId: token.correlationId, expiresOn: new Date(token.expiresOn) }, 'token acquired')
    }
    return { token, source, identity: identityOfFlow[prepared.request.flow] }
  }

  diagnostics (): readonly TokenDiagnostics[] {
    return this.#engine.diagnostics()
  }

  async #getToken (caller: 'app' | 'user', scopes: readonly string[], acquireTokenOptions: AcquireTokenOptions = {}): Promise<AcquireTokenResult> {
    const options = checkAcquireTokenOptions(acquireTokenOptions, 'acquireTokenOptions')
    const identity = identityOf(caller, { acquireTokenOptions: options }, 'The token')
    return toResult(await this.acquire(this.prepare(identity, scopes, options), options))
  }

  #request (identity: Identity, scopes: readonly string[], options: AcquireTokenOptions): TokenRequest {
    switch (identity) {
      case 'client-credential': return this.#clientCredentialsRequest(appScope(scopes), options)
      case 'managed-identity': return this.#managedIdentityRequest(appScope(scopes), options)
      case 'user': throw new UserTokenRequiredError('The call is made on behalf of the user, and there is no validated caller: use a …ForApp method to call as the app')
    }
  }

  #clientCredentialsRequest (scope: string, options: AcquireTokenOptions): TokenRequest {
    const { app, authority } = authorityForApp(this.#configuration.app(options.authenticationOptionsName), options.authenticationOptionsName ?? DEFAULT_APP_SECTION, options.tenant)
    const { extraQueryParameters, clientCapabilities } = app
    return {
      flow: 'clientCredentials',
      app,
      authority,
      scopes: [scope],
      claims: options.claims,
      clientCapabilities,
      fmiPath: options.fmiPath,
      extraQueryParameters: mergeParameters(extraQueryParameters, options.extraQueryParameters),
      extraHeadersParameters: { ...options.extraHeadersParameters },
      correlationId: options.correlationId,
    }
  }

  #managedIdentityRequest (scope: string, options: AcquireTokenOptions): TokenRequest {
    const managedIdentity: ManagedIdentityOptions = options.managedIdentity ?? {}
    const { authenticationOptionsName: section } = options
    const app = this.#configuration.app(section)
    if (app === undefined && section !== undefined) throw new NoAuthorityError(`There is no section "${section}", which AuthenticationOptionsName names: configure it, or leave the option out`)
    return {
      flow: 'managedIdentity',
      managedIdentity,
      workloadIdentity: workloadIdentity(managedIdentity, process.env, app?.knownAuthorities ?? []),
      resource: resourceOf(scope),
      scopes: [scope],
      claims: options.claims,
      clientCapabilities: app?.clientCapabilities ?? [],
      correlationId: options.correlationId,
    }
  }
}

/** An app token is for one resource: as in Microsoft.Identity.Web, the first scope names it. */
function appScope ([scope = '']: readonly string[]): string {
  requireDefaultScope(scope)
  return scope
}

function toResult ({ token, source }: AcquiredToken): AcquireTokenResult {
  const { accessToken, expiresOn, tenantId, scopes, correlationId, tokenType } = token
  return { accessToken, expiresOn: new Date(expiresOn), tenantId, scopes, correlationId, tokenType, tokenSource: source }
}
