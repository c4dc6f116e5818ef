import type { Readable } from 'node:stream'
import { request } from 'undici'
import type { AcquireTokenOptions } from '../../../dist/lib/configuration/schema.js'
import type { Configuration } from '../../../dist/lib/configuration/configuration.js'
import { TokenAcquirerFactory } from '../../../dist/lib/core.js'
import { DownstreamClient } from '../../../dist/lib/downstream/downstream-client.js'
import { Transport } from '../../../dist/lib/downstream/transport.js'
import type { Identity } from '../../../dist/lib/tokens/identity.js'
import { ConfiguredTokenAcquirer } from '../../../dist/lib/tokens/token-acquirer.js'
import type { TokenEngine } from '../../../dist/lib/tokens/token-engine.js'
import { UserRequests, type PreparedRequest } from '../../../dist/lib/tokens/token-request.js'
import type { Token } from '../../../dist/lib/tokens/token.js'
import { assertions, clientId, forAll, logger, scope, setStage, settings, tenantId, wanderer } from '../stage.ts'
import { taggedToken } from '../tagged-token.ts'
import type { Mode, WorkerOptions } from '../worker.ts'
import { msalClient } from './msal.ts'

const fixedToken = taggedToken({ flow: 'clientCredentials', tenantId, clientId, scope }, 0)
const fixedHeaders = { authorization: `Bearer ${fixedToken}`, accept: 'application/json' }

/** Whole calls, each with a token that is cached. */
export const callModes: Readonly<Record<string, Mode>> = {
  'undici.request + JSON.parse, fixed header': async ({ api }) => {
    const url = `${api.small}api/TodoList`
    return async () => {
      const { statusCode, body } = await request(url, { headers: fixedHeaders })
      requireOk(statusCode)
      return JSON.parse(await body.text()) as unknown
    }
  },

  'undici.request + JSON.parse, a fixed header for each of 10,000 users': async ({ api }) => {
    const url = `${api.small}api/TodoList`
    const next = wanderer(Array.from({ length: 10_000 }, (_, user) => ({ ...fixedHeaders, authorization: `Bearer ${taggedToken({ flow: 'clientCredentials', tenantId, clientId, scope: `${scope} ${user}` }, user)}` })))
    return async () => {
      const { statusCode, body } = await request(url, { headers: next() })
      requireOk(statusCode)
      return JSON.parse(await body.text()) as unknown
    }
  },

  'undici.request, fixed header, 256 KiB streamed': async ({ api }) => {
    const url = `${api.large}api/TodoList`
    return async () => {
      const { statusCode, body } = await request(url, { headers: fixedHeaders })
      requireOk(statusCode)
      return await lengthOf(body)
    }
  },

  'getForApp, client credential': async options => {
    const { downstreamApi } = ours(options)
    return () => downstreamApi.getForApp('Todo')
  },

  'getForApp, managed identity': async options => {
    const { downstreamApi } = ours(options)
    return () => downstreamApi.getForApp('TodoManaged')
  },

  'callApiForApp + text()': async options => {
    const { downstreamApi } = ours(options)
    return async () => {
      const response = await downstreamApi.callApiForApp('Todo')
      requireOk(response.status)
      return await response.text()
    }
  },

  "getForApp, responseType 'stream', 256 KiB": async options => {
    const { downstreamApi } = ours(options)
    return async () => await lengthOf(await downstreamApi.getForApp('TodoLarge') as Readable)
  },

  'getForUser, 1 user': options => callsForUsers(options, 1),
  'getForUser, 10,000 users': options => callsForUsers(options, 10_000),
  'getForUser, hash at hand, 10,000 users': options => callsForUsers(options, 10_000, { isHashKept: true }),

  'msal-node cached + undici.request': async ({ api, tokenService }) => {
    const client = msalClient(tokenService)
    const url = `${api.small}api/TodoList`
    return async () => {
      const { accessToken } = (await client.acquireTokenByClientCredential({ scopes: [scope] }))!
      const { statusCode, body } = await request(url, { headers: { authorization: `Bearer ${accessToken}`, accept: 'application/json' } })
      requireOk(statusCode)
      return JSON.parse(await body.text()) as unknown
    }
  },

  'msal-node cached + fetch': async ({ api, tokenService }) => {
    const client = msalClient(tokenService)
    const url = `${api.small}api/TodoList`
    return async () => {
      const { accessToken } = (await client.acquireTokenByClientCredential({ scopes: [scope] }))!
      const response = await fetch(url, { headers: { authorization: `Bearer ${accessToken}`, accept: 'application/json' } })
      requireOk(response.status)
      return await response.json()
    }
  },
}

function ours ({ tokenService, api }: WorkerOptions): TokenAcquirerFactory {
  return new TokenAcquirerFactory({ config: settings(tokenService, api), logger })
}

/**
 * What a web app does for every request that comes in: a client that is bound to the caller, the caller's key, and one call.
 *
 * @param isHashKept whether the hash of the caller's token is there already, as for the second call in the same request
 */
async function callsForUsers ({ tokenService, api }: WorkerOptions, count: number, { isHashKept = false } = {}): Promise<() => Promise<unknown>> {
  const { configuration, engine, onBehalfOf } = setStage({ config: settings(tokenService, api) })
  const transport = new Transport(undefined)
  const callers = assertions(count)
  const users = new UserRequests(onBehalfOf(callers[0]!))
  const kept = callers.map(caller => users.of(caller))
  await forAll(kept, prepared => engine.acquire(prepared))

  const next = isHashKept ? wanderer(kept) : wanderer(callers)
  const acquirer = new CallersAcquirer(configuration, engine, users, kept[0]!)
  const services = { configuration, acquirer, transport, plans: new WeakMap() }
  return () => {
    acquirer.caller = next()
    return new DownstreamClient(services, { logger }).getForUser('TodoUser')
  }
}

/** Asks on behalf of one caller after the other, each by the hash of the caller's token, which the public functions do not lead to yet. */
class CallersAcquirer extends ConfiguredTokenAcquirer {
  /** The caller's token, or the request that was prepared for it. */
  caller: string | PreparedRequest
  readonly #users: UserRequests
  readonly #any: PreparedRequest

  constructor (configuration: Configuration, engine: TokenEngine, users: UserRequests, any: PreparedRequest) {
    super(configuration, engine, logger)
    this.#users = users
    this.#any = any
    this.caller = any
  }

  override prepare (identity: Identity, scopes: readonly string[], options: AcquireTokenOptions, api?: string): PreparedRequest {
    return identity === 'user' ? this.#any : super.prepare(identity, scopes, options, api)
  }

  override atHand (prepared: PreparedRequest): Token | undefined {
    if (prepared !== this.#any) return super.atHand(prepared)
    return super.atHand(typeof this.caller === 'string' ? this.#users.of(this.caller) : this.caller)
  }
}

function requireOk (status: number): void {
  if (status !== 200) throw new Error(`the API answered ${status}`)
}

function lengthOf (body: Readable): Promise<number> {
  return new Promise((resolve, reject) => {
    let length = 0
    body.on('data', (chunk: Buffer) => { length += chunk.length })
    body.on('end', () => resolve(length))
    body.on('error', reject)
  })
}
