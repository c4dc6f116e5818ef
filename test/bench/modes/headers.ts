import type { ConfidentialClientApplication } from '@azure/msal-node'
import { TokenAcquirerFactory } from '../../../dist/lib/core.js'
import { prepare, UserRequests } from '../../../dist/lib/tokens/token-request.js'
import { assertions, forAll, logger, scope, setStage, settings, userAssignedClientId, userScope, wanderer } from '../stage.ts'
import type { Mode, WorkerOptions } from '../worker.ts'
import { msalClient, msalManagedIdentity } from './msal.ts'

/** One `Authorization` header, from a token that is cached. */
export const headerModes: Readonly<Record<string, Mode>> = {
  'app, 1 token': options => forApp(options, 1),
  'app, 1,000 tokens': options => forApp(options, 1_000),
  'app, 50,000 tokens': options => forApp(options, 50_000),
  'app, the same of 50,000 tokens': options => forApp(options, 50_000, { isSame: true }),
  'managed identity, 1 token': options => forManagedIdentity(options),
  'user from the assertion, 1 user': options => forUsers(options, 1),
  'user from the assertion, 1,000 users': options => forUsers(options, 1_000),
  'user from the assertion, 10,000 users': options => forUsers(options, 10_000),
  'user, request prepared before, 1 user': options => forPreparedUsers(options, 1),
  'user, request prepared before, 1,000 users': options => forPreparedUsers(options, 1_000),
  'user, request prepared before, 10,000 users': options => forPreparedUsers(options, 10_000),

  'msal-node app, 1 token': options => msalForApp(options, 1),
  'msal-node app, 1,000 tokens': options => msalForApp(options, 1_000),
  'msal-node managed identity, 1 token': async () => {
    const application = msalManagedIdentity()
    return async () => `Bearer ${(await application.acquireToken({ resource: scope })).accessToken}`
  },
  'msal-node user, 1 user': options => msalForUsers(options, 1),
  'msal-node user, 1,000 users': options => msalForUsers(options, 1_000),
}

async function forApp ({ tokenService }: WorkerOptions, count: number, { isSame = false } = {}): Promise<() => Promise<string>> {
  const { authorizationHeaderProvider: provider } = new TokenAcquirerFactory({ config: settings(tokenService), logger, tokenCache: { maxEntries: count + 1 } })
  const all = appScopes(count)
  await forAll(all, scope => provider.createAuthorizationHeaderForApp(scope))

  const next = wanderer(isSame ? all.slice(0, 1) : all)
  return () => provider.createAuthorizationHeaderForApp(next())
}

async function forManagedIdentity ({ tokenService }: WorkerOptions): Promise<() => Promise<string>> {
  const { authorizationHeaderProvider: provider } = new TokenAcquirerFactory({ config: settings(tokenService), logger })
  return () => provider.createAuthorizationHeaderForApp(scope, { acquireTokenOptions: { managedIdentity: { userAssignedClientId } } })
}

/** As for a caller who has just come in: the assertion is hashed. */
async function forUsers ({ tokenService }: WorkerOptions, count: number): Promise<() => Promise<string>> {
  const { engine, onBehalfOf } = setStage({ config: settings(tokenService) })
  const callers = assertions(count)
  await forAll(callers, caller => engine.acquire(prepare(onBehalfOf(caller))))

  const next = wanderer(callers)
  const users = new UserRequests(onBehalfOf(callers[0]!))
  return async () => engine.atHand(users.of(next()))!.authorizationHeader
}

/** As for a caller for whom something has been called before in the same request. */
async function forPreparedUsers ({ tokenService }: WorkerOptions, count: number): Promise<() => Promise<string>> {
  const { engine, onBehalfOf } = setStage({ config: settings(tokenService) })
  const requests = assertions(count).map(caller => prepare(onBehalfOf(caller)))
  await forAll(requests, request => engine.acquire(request))

  const next = wanderer(requests)
  return async () => engine.atHand(next())!.authorizationHeader
}

async function msalForApp ({ tokenService }: WorkerOptions, count: number): Promise<() => Promise<string>> {
  const client = msalClient(tokenService)
  const header = async (scope: string) => `Bearer ${(await client.acquireTokenByClientCredential({ scopes: [scope] }))!.accessToken}`
  const all = appScopes(count)
  await forAll(all, header)

  const next = wanderer(all)
  return () => header(next())
}

async function msalForUsers ({ tokenService }: WorkerOptions, count: number): Promise<() => Promise<string>> {
  const client = msalClient(tokenService)
  const callers = assertions(count)
  await forAll(callers, caller => msalHeaderForUser(client, caller))

  const next = wanderer(callers)
  return () => msalHeaderForUser(client, next())
}

export async function msalHeaderForUser (client: ConfidentialClientApplication, oboAssertion: string): Promise<string> {
  return `Bearer ${(await client.acquireTokenOnBehalfOf({ scopes: [userScope], oboAssertion }))!.accessToken}`
}

function appScopes (count: number): string[] {
  return Array.from({ length: count }, (_, index) => `api://todo-${index}/.default`)
}
