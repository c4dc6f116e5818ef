import type { Configuration } from '../configuration/configuration.ts'
import type { AcquireTokenOptions, ManagedIdentityOptions } from '../configuration/schema.ts'
import { checkAcquireTokenOptions } from '../configuration/override.ts'
import { UserTokenRequiredError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { authorityForApp } from './authority.ts'
import { identityOf, type Caller, type Identity } from './identity.ts'
import { requireDefaultScope, resourceOf } from './scopes.ts'
import type { TokenEngine } from './token-engine.ts'
import type { TokenRequest } from './token-request.ts'
import type { Token, TokenSource } from './token.ts'

/** An access token, as `getTokenForApp` and `getTokenForUser` give it. */
export interface AcquireTokenResult {
  readonly accessToken: string
  readonly expiresOn: Date
  /** The tenant that was asked; `undefined` for a managed identity, whose platform knows it. */
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
}

/** A token, where it came from, and whose it is. */
export interface AcquiredToken {
  readonly token: Token
  readonly source: TokenSource
  readonly identity: Identity
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

  async getTokenForApp (scope: string, acquireTokenOptions: AcquireTokenOptions = {}): Promise<AcquireTokenResult> {
    return this.#result('app', [scope], acquireTokenOptions)
  }

  async getTokenForUser (scopes: string | readonly string[], acquireTokenOptions: AcquireTokenOptions = {}, _user?: unknown): Promise<AcquireTokenResult> {
    return this.#result('user', [scopes].flat(), acquireTokenOptions)
  }

  /** @param options have been checked */
  async acquire (identity: Identity, scopes: readonly string[], options: AcquireTokenOptions, { logger = this.#logger, signal }: { logger?: Logger, signal?: AbortSignal | undefined } = {}): Promise<AcquiredToken> {
    const request = this.#request(identity, scopes, options)
    const { token, source } = await this.#engine.token(request, { forceRefresh: options.forceRefresh, signal: either(signal, options.signal) })
    if (source !== 'cache') logger.debug({ identity, scopes: request.scopes, tokenSource: source, correlationId: token.correlationId, expiresOn: new Date(token.expiresOn) }, 'token acquired')
    return { token, source, identity }
  }

  async #result (caller: Caller, scopes: readonly string[], given: AcquireTokenOptions): Promise<AcquireTokenResult> {
    const acquireTokenOptions = checkAcquireTokenOptions(given, 'acquireTokenOptions')
    const identity = identityOf(caller, { acquireTokenOptions }, 'The token')
    return toResult(await this.acquire(identity, scopes, acquireTokenOptions))
  }

  #request (identity: Identity, scopes: readonly string[], options: AcquireTokenOptions): TokenRequest {
    switch (identity) {
      case 'client-credential': return this.#clientCredentialsRequest(appScope(scopes), options)
      case 'managed-identity': return this.#managedIdentityRequest(appScope(scopes), options)
      case 'user': throw new UserTokenRequiredError('The call is made on behalf of the user, and there is no validated caller: use a …ForApp method to call as the app')
    }
  }

  #clientCredentialsRequest (scope: string, options: AcquireTokenOptions): TokenRequest {
    const app = this.#configuration.app(options.authenticationOptionsName)
    const authority = authorityForApp(app, options.authenticationOptionsName ?? 'AzureAd', options.tenant)
    // authorityForApp has thrown when there is no section.
    const { extraQueryParameters = {}, clientCapabilities } = app!
    return {
      flow: 'clientCredentials',
      app: app!,
      authority,
      scopes: [scope],
      claims: options.claims,
      clientCapabilities,
      fmiPath: options.fmiPath,
      extraQueryParameters: { ...extraQueryParameters, ...options.extraQueryParameters },
      extraHeadersParameters: options.extraHeadersParameters ?? {},
      correlationId: options.correlationId,
    }
  }

  #managedIdentityRequest (scope: string, options: AcquireTokenOptions): TokenRequest {
    const managedIdentity: ManagedIdentityOptions = options.managedIdentity ?? {}
    const app = this.#configuration.app(options.authenticationOptionsName)
    return {
      flow: 'managedIdentity',
      managedIdentity,
      resource: resourceOf(scope),
      scopes: [scope],
      claims: options.claims,
      clientCapabilities: app?.clientCapabilities ?? [],
    }
  }
}

/** Ends with the call as well as with the options' own signal. */
function either (a: AbortSignal | undefined, b: AbortSignal | undefined): AbortSignal | undefined {
  return a && b ? AbortSignal.any([a, b]) : a ?? b
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
