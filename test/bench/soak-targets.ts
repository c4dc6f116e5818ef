import { TokenHeaderProvider } from '../../dist/lib/tokens/authorization-header-provider.js'
import { prepare } from '../../dist/lib/tokens/token-request.js'
import { assertions, clientId, tenantId, userScope, type Stage } from './stage.ts'
import type { Tag } from './tagged-token.ts'

/** What one call asks for, and whom its token must be for. */
export interface Target {
  /** Under which the engine keeps the token. */
  readonly key: string
  readonly tag: Tag
  header (): Promise<string>
}

/** What is called for, by kind. */
export interface Targets {
  readonly users: readonly Target[]
  readonly apps: readonly Target[]
  readonly managedIdentities: readonly Target[]
}

const APP_SCOPES = 20
const USER_ASSIGNED = 5

export function targetsOf (stage: Stage, users: number): Targets {
  return {
    users: assertions(users).map((assertion, index) => userTarget(stage, assertion, `user-${index}`)),
    apps: Array.from({ length: APP_SCOPES }, (_, index) => appTarget(stage, `api://todo-${index}/.default`)),
    managedIdentities: [undefined, ...Array.from({ length: USER_ASSIGNED }, (_, index) => `44444444-4444-4444-8444-44444444444${index}`)]
      .map(id => managedIdentityTarget(stage, id)),
  }
}

/** Eight of ten calls are for users, one is for the app, one for a managed identity. */
export function anyTarget ({ users, apps, managedIdentities }: Targets): Target {
  const chance = Math.random()
  const targets = chance < 0.8 ? users : chance < 0.9 ? apps : managedIdentities
  return targets[Math.floor(Math.random() * targets.length)]!
}

function userTarget ({ engine, onBehalfOf }: Stage, assertion: string, user: string): Target {
  return {
    key: prepare(onBehalfOf(assertion)).key,
    tag: { flow: 'onBehalfOf', tenantId, clientId, scope: userScope, user },
    // Prepared anew, as for every request that comes in.
    header: async () => (await engine.acquire(prepare(onBehalfOf(assertion)))).token.authorizationHeader,
  }
}

function appTarget ({ acquirer }: Stage, scope: string): Target {
  const provider = new TokenHeaderProvider(acquirer)
  return {
    key: acquirer.prepare('client-credential', [scope], {}).key,
    tag: { flow: 'clientCredentials', tenantId, clientId, scope },
    header: () => provider.createAuthorizationHeaderForApp(scope),
  }
}

/** @param id of a user-assigned identity; none for the system-assigned one */
function managedIdentityTarget ({ acquirer }: Stage, id: string | undefined): Target {
  const provider = new TokenHeaderProvider(acquirer)
  const managedIdentity = id === undefined ? {} : { userAssignedClientId: id }
  return {
    key: acquirer.prepare('managed-identity', ['api://todo/.default'], { managedIdentity }).key,
    tag: { flow: 'managedIdentity', ...id !== undefined && { clientId: id }, scope: 'api://todo' },
    header: () => provider.createAuthorizationHeaderForApp('api://todo/.default', { acquireTokenOptions: { managedIdentity } }),
  }
}
