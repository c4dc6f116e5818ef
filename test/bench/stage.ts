import { pino } from 'pino'
import type { Configuration } from '../../dist/lib/configuration/configuration.js'
import type { IdentityWebOptions } from '../../dist/lib/configuration/schema.js'
import { setUp } from '../../dist/lib/configuration/setup.js'
import { ClientCredentials } from '../../dist/lib/credentials/client-credentials.js'
import { TokenProvider } from '../../dist/lib/msal/token-provider.js'
import { authorityForApp } from '../../dist/lib/authorities/authority.js'
import { Sessions } from '../../dist/lib/sessions/sessions.js'
import { systemClock } from '../../dist/lib/tokens/clock.js'
import { ConfiguredTokenAcquirer } from '../../dist/lib/tokens/token-acquirer.js'
import { TokenEngine, type AskProvider } from '../../dist/lib/tokens/token-engine.js'
import type { OnBehalfOfRequest } from '../../dist/lib/tokens/token-request.js'
import { assertionOf } from './tagged-token.ts'

// What is measured is the built package: compilers that run TypeScript in place add calls to it.

export const tenantId = '11111111-1111-4111-8111-111111111111'
export const clientId = '22222222-2222-4222-8222-222222222222'
export const userAssignedClientId = '44444444-4444-4444-8444-444444444444'
export const scope = 'api://todo/.default'
export const userScope = 'api://todo/Todo.Read'

export const logger = pino({ level: 'silent' })

/** The sections of an app that calls the APIs, in every way that is measured. */
export function settings (tokenService: string, api: { small: string, large: string } = { small: 'http://127.0.0.1/', large: 'http://127.0.0.1/' }) {
  const common = { BaseUrl: api.small, RelativePath: 'api/TodoList', RequestAppToken: true, Scopes: [scope] }
  return {
    AzureAd: { Instance: `${tokenService}/`, TenantId: tenantId, ClientId: clientId, ClientCredentials: [{ SourceType: 'ClientSecret', ClientSecret: 'secret' }] },
    Todo: common,
    TodoManaged: { ...common, AcquireTokenOptions: { ManagedIdentity: { UserAssignedClientId: userAssignedClientId } } },
    TodoUser: { BaseUrl: api.small, RelativePath: 'api/TodoList', Scopes: [userScope] },
    TodoLarge: { ...common, BaseUrl: api.large, ResponseType: 'stream' },
  }
}

/** The engine and what leads to it: on behalf of users it is driven here, below the public functions. */
export interface Stage {
  readonly configuration: Configuration
  readonly options: IdentityWebOptions
  readonly provider: TokenProvider
  readonly engine: TokenEngine
  readonly acquirer: ConfiguredTokenAcquirer
  /** The request for a token on behalf of whom `assertion` belongs to. */
  onBehalfOf (assertion: string): OnBehalfOfRequest
}

export interface StageOptions {
  readonly config: object
  readonly maxEntries?: number
  readonly tokenTimeout?: number
  /** What the engine asks, over the identity provider. */
  readonly around?: (ask: AskProvider) => AskProvider
}

export function setStage ({ config, maxEntries = 100_000, tokenTimeout = 10_000, around = ask => ask }: StageOptions): Stage {
  const { options, configuration } = setUp({ config }, ({ config }) => config)
  const credentials: ClientCredentials = new ClientCredentials({ clock: systemClock, logger, tokenTimeout, customSignedAssertionProviders: {}, managedIdentityToken: async () => { throw new Error('no credential asks for one here') }, identityDispatcher: () => provider.identityDispatcher(), closed: new AbortController().signal })
  const sessions = new Sessions({ shared: undefined, maxEntries, clock: systemClock, logger })
  const provider: TokenProvider = new TokenProvider(systemClock, credentials, sessions, undefined, logger)
  const engine = new TokenEngine({ maxEntries, tokenTimeout, ask: around(provider.ask), shared: undefined, clock: systemClock, random: Math.random, logger })
  const { app, authority } = authorityForApp(configuration.app(), 'AzureAd', undefined)
  return {
    configuration,
    options,
    provider,
    engine,
    acquirer: new ConfiguredTokenAcquirer({ configuration, engine, sessions, findCaller: () => { throw new Error('nobody is named') }, logger }),
    onBehalfOf: userAssertion => ({
      flow: 'onBehalfOf',
      app,
      authority,
      scopes: [userScope],
      claims: undefined,
      clientCapabilities: app.clientCapabilities,
      extraQueryParameters: app.extraQueryParameters,
      extraHeadersParameters: {},
      correlationId: undefined,
      userAssertion,
    }),
  }
}

/** The tokens that `count` users call with. */
export function assertions (count: number): string[] {
  return Array.from({ length: count }, (_, index) => assertionOf(`user-${index}`))
}

/** Runs `work` for all of `items`, some at a time. */
export async function forAll<T> (items: Iterable<T>, work: (item: T) => Promise<unknown>): Promise<void> {
  const iterator = items[Symbol.iterator]()
  await Promise.all(Array.from({ length: 32 }, async () => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) await work(next.value)
  }))
}

/** Gives all of `items` again and again, so that no two neighbours follow each other: memory that was just used helps nobody. */
export function wanderer<T> (items: readonly T[]): () => T {
  let at = 0
  const step = 7919 % items.length || 1
  return () => {
    at = (at + step) % items.length
    return items[at]!
  }
}
