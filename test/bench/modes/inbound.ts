import { createServer, IncomingMessage, ServerResponse } from 'node:http'
import { Socket, type AddressInfo } from 'node:net'
import fastify, { type FastifyInstance } from 'fastify'
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT, type JWK } from 'jose'
import { setUp } from '../../../dist/lib/configuration/setup.js'
import { IdentityWeb } from '../../../dist/lib/identity-web.js'
import identityWeb from '../../../dist/plugins/index.js'
import { clientId, forAll, logger, settings, tenantId, wanderer } from '../stage.ts'
import { TOKEN_LENGTH } from '../tagged-token.ts'
import type { Mode, WorkerOptions } from '../worker.ts'

const CALLERS = 1_000
const NEW_TOKENS = 500

/** Requests that come in: to routes of an application, without a socket, and to what validates their tokens. */
export const inboundModes: Readonly<Record<string, Mode>> = {
  'open route': async options => routedTo(await application(options, 1), '/open'),
  'protected route, token seen before': async options => routedTo(await application(options, 1), '/protected'),
  'protected route, tokens of 1,000 callers seen before': async options => routedTo(await application(options, CALLERS), '/protected'),
  'open route, tokens of 1,000 callers': async options => routedTo(await application(options, CALLERS), '/open'),

  'route that calls an API as the app': async options => requestsTo(await application(options, CALLERS), '/as-app'),
  'route that calls an API on behalf of its caller': async options => requestsTo(await application(options, CALLERS), '/as-user'),

  'jose: jwtVerify with a local key set': async options => {
    const { tokens, jwk, issuer } = await authority(options, NEW_TOKENS)
    const keys = createLocalJWKSet({ keys: [jwk] })
    const next = wanderer(tokens)
    return () => jwtVerify(next(), keys, { issuer, audience: clientId, algorithms: ['RS256'], clockTolerance: 60 })
  },
  'a token that was not seen before': async options => {
    const { tokens, instance } = await authority(options, NEW_TOKENS)
    const AzureAd = { ...settings(options.tokenService).AzureAd, Instance: instance }
    // It remembers one caller, who never comes twice in a row.
    const { inbound } = new IdentityWeb(setUp({ config: { AzureAd }, inbound: true, tokenCache: { maxEntries: 1 } }, ({ config }) => config), logger)
    const next = wanderer(tokens.map(headerOf))
    return () => Promise.resolve(inbound!.callerOf(['authorization', next()]))
  },
}

/** An application whose callers have all been there before. */
async function application (options: WorkerOptions, callers: number): Promise<{ app: FastifyInstance, headers: readonly string[] }> {
  const { tokens, instance } = await authority(options, callers)
  const config = settings(options.tokenService, options.api)
  const app: FastifyInstance = fastify()
  await app.register(identityWeb, { config: { ...config, AzureAd: { ...config.AzureAd, Instance: instance } }, inbound: true })
  app.get('/open', (_request, reply) => { reply.send('') })
  app.get('/protected', { config: { auth: { scopes: ['Todo.Read'] } } }, (_request, reply) => { reply.send('') })
  app.get('/as-app', { config: { auth: { scopes: ['Todo.Read'] }, downstreamApi: { Todo: { identity: 'client-credential' } } } }, request => request.downstreamApi.getForApp('Todo'))
  app.get('/as-user', { config: { auth: { scopes: ['Todo.Read'] }, downstreamApi: { TodoUser: { identity: 'user' } } } }, request => request.downstreamApi.getForUser('TodoUser'))
  await app.ready()
  const headers = tokens.map(headerOf)
  await forAll(headers, header => requestTo(app, '/as-user', header))
  return { app, headers }
}

function requestsTo ({ app, headers }: { app: FastifyInstance, headers: readonly string[] }, url: string): () => Promise<unknown> {
  const next = wanderer(headers)
  return () => requestTo(app, url, next())
}

/** Past everything that costs more than the routes that are compared: the answer is there when the router comes back. */
function routedTo ({ app, headers }: { app: FastifyInstance, headers: readonly string[] }, url: string): () => Promise<unknown> {
  const next = wanderer(headers)
  const socket = new Socket()
  return async () => {
    const request = Object.assign(new IncomingMessage(socket), { method: 'GET', url, rawHeaders: ['host', 'localhost', 'authorization', next()] })
    const response = new ServerResponse(request)
    app.routing(request, response)
    if (!response.writableEnded || response.statusCode !== 200) throw new Error(`${url} answered ${response.statusCode}`)
  }
}

/** In one piece, as it comes over the wire. */
function headerOf (token: string): string {
  return Buffer.from(`Bearer ${token}`).toString('latin1')
}

async function requestTo (app: FastifyInstance, url: string, authorization: string): Promise<void> {
  const { statusCode, body } = await app.inject({ url, headers: { authorization } })
  if (statusCode !== 200) throw new Error(`${url} answered ${statusCode}: ${body}`)
}

/** Signs the tokens of callers, publishes its key, and passes token requests on to the token service. */
async function authority ({ tokenService }: WorkerOptions, callers: number): Promise<{ tokens: string[], jwk: JWK, instance: string, issuer: string }> {
  const { publicKey, privateKey } = await generateKeyPair('RS256')
  const jwk = { ...await exportJWK(publicKey), kid: 'bench', use: 'sig', alg: 'RS256' }
  const server = createServer((request, response) => { answer(request, response) })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const instance = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const base = `${instance}${tenantId}`
  const issuer = `${base}/v2.0`
  const now = Math.floor(Date.now() / 1000)
  const sign = (claims: object) => new SignJWT({ aud: clientId, iss: issuer, iat: now, nbf: now, exp: now + 86_400, tid: tenantId, azp: clientId, azpacr: '1', ver: '2.0', scp: 'Todo.Read', name: 'A User', preferred_username: 'user@example.com', ...claims }).setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: 'bench' }).sign(privateKey)
  const { length } = await sign({ user: '0000', oid: '0000', sub: '0000', rh: '' })
  const rh = 'x'.repeat(Math.max(0, Math.floor((TOKEN_LENGTH - length) * 0.75)))
  const tokens = await Promise.all(Array.from({ length: callers }, (_, index) => sign({ user: String(index), oid: String(index), sub: String(index), rh })))
  return { tokens, jwk, instance, issuer }

  async function answer (request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('content-type', 'application/json')
    if (request.url!.endsWith('/keys')) response.end(JSON.stringify({ keys: [{ ...jwk, issuer }] }))
    else if (request.url!.endsWith('/openid-configuration')) response.end(JSON.stringify({ issuer, token_endpoint: `${base}/oauth2/v2.0/token`, jwks_uri: `${base}/discovery/v2.0/keys` }))
    else {
      let body = ''
      for await (const chunk of request) body += String(chunk)
      response.end(await (await fetch(`${tokenService}${request.url}`, { method: 'POST', body, headers: { 'content-type': request.headers['content-type']! } })).text())
    }
  }
}
