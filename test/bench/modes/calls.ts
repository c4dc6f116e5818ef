import type { Readable } from 'node:stream'
import { request } from 'undici'
import { TokenAcquirerFactory } from '../../../dist/lib/core.js'
import { DownstreamClient } from '../../../dist/lib/downstream/downstream-client.js'
import { Caller } from '../../../dist/lib/inbound/caller.js'
import type { SigningKey } from '../../../dist/lib/inbound/signing-keys.js'
import { Transport } from '../../../dist/lib/downstream/transport.js'
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
  'getForUser, 10,000 users, hashed in the call': options => callsForUsers(options, 10_000, { isHashed: true }),

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

// No token is verified here.
const key = { kid: 'bench', isPublished: true } as SigningKey

function ours ({ tokenService, api }: WorkerOptions): TokenAcquirerFactory {
  return new TokenAcquirerFactory({ config: settings(tokenService, api), logger })
}

/**
 * What a web API does in every request: a client that is bound to its caller, whom validation has found by the hash of the token, and one call.
 *
 * @param isHashed whether the caller's token is hashed in the call too, as if it were seen for the first time
 */
async function callsForUsers ({ tokenService, api }: WorkerOptions, count: number, { isHashed = false } = {}): Promise<() => Promise<unknown>> {
  const { configuration, acquirer } = setStage({ config: settings(tokenService, api) })
  const services = { configuration, acquirer, transport: new Transport(undefined), plans: new WeakMap() }
  const callFor = (requestCaller: Caller) => new DownstreamClient(services, { logger, requestCaller: () => requestCaller }).getForUser('TodoUser')
  const callers = assertions(count).map(callerWith)
  await forAll(callers, callFor)

  const next = wanderer(callers)
  return () => callFor(isHashed ? callerWith(next().assertion) : next())
}

function callerWith (assertion: string): Caller {
  return new Caller(assertion, { claims: { aud: clientId, iss: 'bench', exp: Math.floor(Date.now() / 1000) + 3600 }, kind: 'user', tenantId, scopes: [], roles: [], key })
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
