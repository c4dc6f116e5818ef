import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { taggedToken, userOf, type Tag } from '../tagged-token.ts'

// Entra ID's token endpoint and the managed identity endpoint of App Service, as far as clients see them: every token says whom
// it is for. Nothing is checked, so that an answer costs little; faults come as the options have it.

export interface TokenServiceOptions {
  /** Seconds that a token lives: at least, and at most. */
  readonly lifetime: readonly [number, number]
  /** The part of the requests that meet a fault, from 0 to 1. */
  readonly faults: number
  /** Milliseconds from the beginning of one outage to the next, and of an outage; in one, every request meets a fault. */
  readonly outages?: { readonly every: number, readonly length: number }
}

/** What the service has done; sent on every message that comes. */
export interface TokenServiceFigures {
  readonly requests: number
  readonly tokens: number
  /** By kind. */
  readonly faults: Readonly<Record<string, number>>
}

type Fault = (response: ServerResponse, answer: () => void) => void

const inOutages: Readonly<Record<string, Fault>> = {
  503: response => json(response, 503, { error: 'temporarily_unavailable' }),
  'connection reset': response => { response.socket?.resetAndDestroy() },
  'no answer': () => {},
}
const anyTime: Readonly<Record<string, Fault>> = {
  ...inOutages,
  '429, Retry-After in seconds': response => json(response, 429, { error: 'too_many_requests' }, { 'retry-after': '1' }),
  '429, Retry-After as a date': response => json(response, 429, { error: 'too_many_requests' }, { 'retry-after': new Date(Date.now() + 2_000).toUTCString() }),
  '500 with {}': response => json(response, 500, {}),
  '200 without a token': response => json(response, 200, {}),
  HTML: response => response.writeHead(502, { 'content-type': 'text/html' }).end('<html>Bad gateway</html>'),
  'truncated JSON': response => response.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":"eyJ'),
  'refused with 400': response => json(response, 400, { error: 'invalid_grant', error_description: 'AADSTS50013: the assertion is not valid' }),
  'slow answer': async (_response, answer) => {
    await delay(500)
    answer()
  },
}

const { lifetime: [shortest, longest], faults: faultShare, outages } = JSON.parse(process.argv[2]!) as TokenServiceOptions
const started = performance.now()
let requests = 0
let tokens = 0
const met: Record<string, number> = {}

const server = createServer(async (request, response) => {
  requests++
  response.on('error', () => {})
  const body = await bodyOf(request)
  const answer = () => request.url!.startsWith('/msi/') ? answerManagedIdentity(request, response) : answerEntra(request, response, new URLSearchParams(body))

  const isOut = outages !== undefined && (performance.now() - started) % outages.every > outages.every - outages.length
  if (!isOut && Math.random() >= faultShare) return answer()
  const kinds = Object.entries(isOut ? inOutages : anyTime)
  const [kind, fault] = kinds[Math.floor(Math.random() * kinds.length)]!
  met[kind] = (met[kind] ?? 0) + 1
  fault(response, answer)
})

function answerEntra (request: IncomingMessage, response: ServerResponse, form: URLSearchParams): void {
  const tenantId = request.url!.split('/')[1]!
  const assertion = form.get('assertion')
  // MSAL adds scopes of OpenID Connect, which are for itself.
  const scope = form.get('scope')!.split(' ').filter(scope => !['openid', 'profile', 'offline_access'].includes(scope)).join(' ')
  const common = { tenantId, clientId: form.get('client_id')!, scope }
  const user = assertion === null ? undefined : userOf(assertion)
  const expiresIn = secondsToLive()
  json(response, 200, {
    token_type: 'Bearer',
    expires_in: expiresIn,
    // Entra ID says so of some tokens only.
    ...Math.random() < 0.5 && longest < 3_600 && { refresh_in: Math.ceil(expiresIn / 2) },
    scope,
    access_token: tokenFor(user === undefined ? { flow: 'clientCredentials', ...common } : { flow: 'onBehalfOf', ...common, user }),
    ...user !== undefined && signedIn(user, tenantId),
  })
}

/** By what MSAL's own cache tells users apart. */
function signedIn (user: string, tenantId: string): { id_token: string, client_info: string } {
  const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return {
    id_token: `${encoded({ alg: 'none' })}.${encoded({ oid: user, sub: user, tid: tenantId, preferred_username: user, ver: '2.0' })}.`,
    client_info: encoded({ uid: user, utid: tenantId }),
  }
}

function answerManagedIdentity (request: IncomingMessage, response: ServerResponse): void {
  const { searchParams } = new URL(request.url!, 'http://127.0.0.1')
  const resource = searchParams.get('resource')!
  const clientId = searchParams.get('client_id')
  const token = tokenFor({ flow: 'managedIdentity', ...clientId !== null && { clientId }, scope: resource })
  json(response, 200, { token_type: 'Bearer', expires_on: String(Math.ceil(Date.now() / 1000) + secondsToLive()), resource, access_token: token })
}

function tokenFor (tag: Tag): string {
  return taggedToken(tag, ++tokens)
}

function secondsToLive (): number {
  return Math.round(shortest + Math.random() * (longest - shortest))
}

async function bodyOf (request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request) body += String(chunk)
  return body
}

function json (response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

process.on('disconnect', () => process.exit())
process.on('message', () => process.send!({ requests, tokens, faults: met } satisfies TokenServiceFigures))
server.listen(0, '127.0.0.1', () => process.send!(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
