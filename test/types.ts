// What must compile, and what must not: checked by the compiler, never run.
import type { AccessToken, TokenCredential as AzureTokenCredential } from '@azure/core-auth'
import { bearerTokenAuthenticationPolicy } from '@azure/core-rest-pipeline'
import { AuthenticationHandlerOptions, Client, type AuthenticationProvider } from '@microsoft/microsoft-graph-client'
import type { FastifyRedis } from '@fastify/redis'
import fastify from 'fastify'
import { Cluster, Redis } from 'ioredis'
import { createClient, createClientPool, createCluster, createSentinel } from 'redis'
import { TokenAcquirerFactory, type TokenAcquirerFactoryOptions } from '../lib/core.ts'
import identityWeb, { graphAuthenticationProvider, redisTokenStore, tokenCredential, ConfigurationError, TokenAcquisitionError, type AuthorizationHeaderProvider, type DownstreamApi, type EncryptionKey, type FastifyIdentityWebOptions, type GraphRequestAuthenticationOptions, type IdentityWebErrorCode, type TokenAcquirer, type TokenStore } from '../plugins/index.ts'

declare const provider: AuthorizationHeaderProvider

// The clients of others take the providers.
export const graphProvider: AuthenticationProvider = graphAuthenticationProvider(provider, { requestAppToken: true })
export const graph = Client.initWithMiddleware({ authProvider: graphAuthenticationProvider(provider) })
export const credential: AzureTokenCredential = tokenCredential(provider, { acquireTokenOptions: { managedIdentity: {} } })
export const policy = bearerTokenAuthenticationPolicy({ credential: tokenCredential(provider), scopes: 'https://vault.azure.net/.default' })
export const token: Promise<AccessToken> = tokenCredential(provider).getToken(['https://vault.azure.net/.default'], { abortSignal: AbortSignal.timeout(1), claims: '{}', tenantId: 'contoso' })

// One Graph request may carry options that the Graph client's own type does not know.
const managed: GraphRequestAuthenticationOptions = { scopes: ['https://graph.microsoft.com/.default'], acquireTokenOptions: { managedIdentity: {} } }
export const forRequest = new AuthenticationHandlerOptions(undefined, managed)
// @ts-expect-error -- no such option
export const misspelt: GraphRequestAuthenticationOptions = { acquireTokenOption: { managedIdentity: {} } }
// @ts-expect-error -- no such option
graphAuthenticationProvider(provider, { managedIdentity: {} })
// @ts-expect-error -- no such option
tokenCredential(provider, { acquireTokenOptions: { managedIdentiy: {} } })
// @ts-expect-error -- a token acquirer makes no headers
tokenCredential({} as TokenAcquirer)

// The plugin and its options.
const app = fastify()
app.register(identityWeb)
app.register(identityWeb, { appSettings: true, azureAd: 'AzureAd', downstreamApis: ['MyWebApi'], tokenCache: { maxEntries: 5 }, tokenTimeout: 5 })
app.register(identityWeb, { azureAd: { instance: 'https://login.microsoftonline.com/', clientCredentials: [{ sourceType: 'ClientSecret', clientSecret: 's' }] }, downstreamApis: { todo: 'MyWebApi', orders: { baseUrl: 'https://orders.example/', scopes: 'a/.default' } } })
// @ts-expect-error -- no such option
app.register(identityWeb, { tokenTimeuot: 5 })
// @ts-expect-error -- an API is somewhere
export const nowhere: FastifyIdentityWebOptions = { downstreamApis: { todo: { scopes: 'a/.default' } } }
// @ts-expect-error -- a secret is text
export const unknownKind: FastifyIdentityWebOptions = { azureAd: { clientCredentials: [{ sourceType: 'ClientSecret', clientSecret: 7 }] } }
// @ts-expect-error -- a proof of possession is not supported
export const unsupported: FastifyIdentityWebOptions = { downstreamApis: { todo: { baseUrl: 'https://a.example/', acquireTokenOptions: { popPublicKey: 'x' } } } }

// Stores: from every kind of client, and of one's own.
declare const fastifyRedis: FastifyRedis
export const stores: TokenStore[] = [
  ...[createClient(), createClientPool(), createCluster({ rootNodes: [] }), createSentinel({ name: 'a', sentinelRootNodes: [] })].map(client => redisTokenStore(client)),
  ...[new Redis(), new Cluster([]), fastifyRedis].map(client => redisTokenStore(client)),
  new class { async get () { return null } async set () {} async delete () {} }(),
]
export const keys: EncryptionKey[] = [{ id: 'a', key: new Uint8Array(32) }, { id: 'b', key: 'base64' }]
app.register(identityWeb, { tokenCache: { store: stores[0]!, encryptionKeys: keys, storeManagedIdentities: true } })
// @ts-expect-error -- not a client
redisTokenStore({ get: async () => '' })
// @ts-expect-error -- a store is made of a client
app.register(identityWeb, { tokenCache: { store: createClient(), encryptionKeys: keys } })

// What is decorated.
export const decorated: [DownstreamApi, AuthorizationHeaderProvider, TokenAcquirer] = [app.downstreamApi, app.authorizationHeaderProvider, app.tokenAcquirer]
app.get('/', { config: { downstreamApi: { MyWebApi: { identity: 'managed-identity', timeout: 5 } } } }, async request => {
  const items: { id: number }[] | undefined = await request.downstreamApi.getForApp<{ id: number }[]>('MyWebApi')
  // @ts-expect-error -- bound to the request, once and for all
  request.downstreamApi = app.downstreamApi
  return [items, await request.authorizationHeaderProvider.createAuthorizationHeaderForApp('a/.default')]
})
// @ts-expect-error -- no such identity
app.get('/unknown', { config: { downstreamApi: { MyWebApi: { identity: 'managed' } } } }, () => '')

// The factory: no option of the plugin's that means nothing to it.
export const factory: TokenAcquirerFactory = TokenAcquirerFactory.getDefaultInstance({ path: 'settings/', tokenTimeout: 5 })
// @ts-expect-error -- the path says where the settings are
export const settings: TokenAcquirerFactoryOptions = { appSettings: true }

// Errors are told apart by their code, and by their class.
export function reasonOf (error: unknown): string {
  if (error instanceof TokenAcquisitionError) return `${error.errorCodes.join()} ${error.retryable}`
  if (!(error instanceof ConfigurationError)) return ''
  const code: 'FST_IDW_CONFIG_INVALID' = error.code
  // @ts-expect-error -- no such code
  const other: IdentityWebErrorCode = 'FST_IDW_CHEESE'
  return [code, other, ...error.faults].join()
}
