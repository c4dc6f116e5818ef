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
import { prepare, prepareForUser, type OnBehalfOfRequest, type PreparedRequest } from '../../../dist/lib/tokens/token-request.js'
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

/** What a web app does for every request that comes in: a client that is bound to the caller, the caller's key, and one call. */
async function callsForUsers ({ tokenService, api }: WorkerOptions, count: number): Promise<() => Promise<unknown>> {
  const { configuration, engine, onBehalfOf } = setStage({ config: settings(tokenService, api) })
  const transport = new Transport(undefined)
  const callers = assertions(count)
  await forAll(callers, caller => engine.acquire(prepare(onBehalfOf(caller))))

  const next = wanderer(callers)
  const acquirer = new CallersAcquirer(configuration, engine, onBehalfOf(callers[0]!))
  const services = { configuration, acquirer, transport, plans: new WeakMap() }
  return () => {
    acquirer.caller = next()
    return new DownstreamClient(services, { logger }).getForUser('TodoUser')
  }
}

/** Asks on behalf of one caller after the other, each by the hash of the caller's token, which the public functions do not lead to yet. */
class CallersAcquirer extends ConfiguredTokenAcquirer {
  caller = ''
  readonly #request: OnBehalfOfRequest

  constructor (configuration: Configuration, engine: TokenEngine, request: OnBehalfOfRequest) {
    super(configuration, engine, logger)
    this.#request = request
  }

  override prepare (identity: Identity, scopes: readonly string[], options: AcquireTokenOptions, api?: string): PreparedRequest {
    return identity === 'user' ? prepare(this.#request, api) : super.prepare(identity, scopes, options, api)
  }

  override atHand (prepared: PreparedRequest): Token | undefined {
    return super.atHand(isOnBehalfOf(prepared) ? prepareForUser(prepared, this.caller) : prepared)
  }
}

function isOnBehalfOf (prepared: PreparedRequest): prepared is PreparedRequest & { readonly request: OnBehalfOfRequest } {
  return prepared.request.flow === 'onBehalfOf'
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
