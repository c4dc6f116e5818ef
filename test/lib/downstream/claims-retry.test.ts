import t from 'tap'
import { setUp } from '../../../lib/configuration/setup.ts'
import { encodeClaims } from '../../../lib/challenges/claims-challenge.ts'
import { parseChallenges } from '../../../lib/challenges/www-authenticate.ts'
import { claimsRetry } from '../../../lib/downstream/claims-retry.ts'
import { DownstreamClient } from '../../../lib/downstream/downstream-client.ts'
import { Transport } from '../../../lib/downstream/transport.ts'
import { ConfiguredTokenAcquirer } from '../../../lib/tokens/token-acquirer.ts'
import { tokenKey, type PreparedRequest } from '../../../lib/tokens/token-request.ts'
import type { Token } from '../../../lib/tokens/token.ts'
import { engineOf, HOUR, pending, requestOfApp, requestOfMachine, requestOfUser, tokenOf } from '../../fixtures/engine.ts'
import { loggerOf } from '../../fixtures/identity-web.ts'
import { answerJson, startRawServer } from '../../fixtures/raw-server.ts'
import { sessions } from '../../fixtures/sessions.ts'

const claims = '{"a":1}'
const challenge = `Bearer error="insufficient_claims", claims="${encodeClaims(claims)}"`
const challenged = { status: 401, headers: { 'www-authenticate': ['Negotiate', challenge] } }
const attempt = { token: requestOfApp(), isRetry: false, content: undefined, wireBody: null }

t.test('a challenge is met with the same request and its claims, under the same key, whoever asks', async t => {
  for (const token of [requestOfApp(), requestOfApp({ claims: '{"own":1}' }), requestOfMachine(), requestOfUser('alice')]) {
    const retry = claimsRetry(challenged, 'MyWebApi', { ...attempt, token })

    t.match(retry, { kind: 'now', token: { key: token.key, provider: token.provider, address: token.address, description: { ...token.description, api: 'MyWebApi' } } })
    if (retry.kind !== 'now') continue
    t.strictSame(retry.token.request, { ...token.request, claims })
    t.not(tokenKey(retry.token.request), token.key, 'it does not join an acquisition without the claims')
  }
})

t.test('headers as they came over the wire are read too', async t => {
  const headers = ['WWW-Authenticate', 'Negotiate', 'Www-Authenticate', challenge].map(text => Buffer.from(text))
  t.equal(claimsRetry({ status: 401, headers }, 'MyWebApi', attempt).kind, 'now')
})

t.test('what is no challenge, or was made without a token, is no reason to call again', async t => {
  t.strictSame(claimsRetry({ status: 401, headers: {} }, 'MyWebApi', attempt), { kind: 'none' })
  t.strictSame(claimsRetry({ ...challenged, status: 403 }, 'MyWebApi', attempt), { kind: 'none' })
  t.strictSame(claimsRetry(challenged, 'MyWebApi', { ...attempt, token: undefined }), { kind: 'none' })
})

t.test('a second challenge is the outcome for an app, and asks for the user of a call on their behalf', async t => {
  for (const token of [requestOfApp({ claims }), requestOfMachine()]) t.strictSame(claimsRetry(challenged, 'MyWebApi', { ...attempt, token, isRetry: true }), { kind: 'none' })

  const retry = claimsRetry(challenged, 'MyWebApi', { ...attempt, token: requestOfUser('alice', { claims: '{"first":1}' }), isRetry: true })
  t.match(retry, { kind: 'user', error: { code: 'FST_IDW_CHALLENGE_USER', claims, scopes: ['api://todo/.default'], errorCodes: [], cause: { message: /MyWebApi answered 401/ } } })
})

/** A client whose calls are all made on behalf of `user`, and an API that challenges every token which it has not been told to take. */
async function clientFor (t: Parameters<typeof startRawServer>[0], user: string, accepted: string[] = []) {
  const server = await startRawServer(t, ({ headers }, response) => {
    if (accepted.includes(String(headers.authorization))) answerJson(response, 200, { done: true })
    else answerJson(response, 401, { error: 'no' }, { 'www-authenticate': challenge })
  })
  const azureAd = { instance: 'https://login.microsoftonline.com', tenantId: 'contoso.example', clientId: '22222222-2222-4222-8222-222222222222', clientSecret: 'secret' }
  const { configuration } = setUp({ azureAd, downstreamApis: { Api: { baseUrl: server.origin, scopes: ['api://todo/.default'], requestAppToken: true } } }, () => undefined)
  class OnBehalfOf extends ConfiguredTokenAcquirer {
    override plan (): PreparedRequest {
      return requestOfUser(user)
    }
  }
  const logger = loggerOf([])
  const transport = new Transport(undefined)
  t.teardown(() => transport.close())
  const { engine, provider, clock } = engineOf()
  return { client: new DownstreamClient({ configuration, acquirer: new OnBehalfOf({ configuration, engine, sessions: sessions(), findCaller: undefined, logger }), transport, plans: new WeakMap() }, { logger }), requests: server.requests, provider, clock }
}

t.test('a call as the user is made once more with the claims, for that user', async t => {
  const { client, requests, provider } = await clientFor(t, 'alice', ['Bearer token 2'])

  t.strictSame(await client.getForApp('Api'), { done: true })
  t.match(provider.requests, [{ userAssertion: 'alice', claims: undefined }, { userAssertion: 'alice', claims }])
  t.equal(requests.length, 2)
})

t.test('a call as the user that is challenged again rejects with what the API asks for, however it is made', async t => {
  for (const method of ['getForApp', 'callApiForApp', 'callApi'] as const) {
    const { client, requests } = await clientFor(t, 'alice')

    const error = await client[method]('Api').catch((error: unknown) => error as { code: string, claims: string, wwwAuthenticate: string }) as { code: string, claims: string, wwwAuthenticate: string }

    t.match(error, { code: 'FST_IDW_CHALLENGE_USER', claims }, method)
    const { parameters } = parseChallenges(error.wwwAuthenticate)[0]!
    t.match(Object.fromEntries(parameters), { authorization_uri: 'https://login.example/contoso/oauth2/v2.0/authorize', client_id: 'client', error: 'insufficient_claims', claims: encodeClaims(claims) })
    t.equal(requests.length, 2)
  }
})

t.test('a challenge during a renewal neither waits for it nor takes its token, now or later', async t => {
  const accepted = ['Bearer old']
  const { client, requests, provider, clock } = await clientFor(t, 'alice', accepted)
  const renewal = pending<Token>()
  provider.answers.push(tokenOf('old', clock.now(), HOUR, 60_000), () => renewal.promise, tokenOf('of the claims', clock.now(), HOUR))
  await client.getForApp('Api')
  clock.tick(120_000)
  accepted[0] = 'Bearer of the claims'

  t.strictSame(await client.getForApp('Api'), { done: true })
  renewal.resolve(tokenOf('renewed', clock.now()))
  await clock.advance(0)
  t.strictSame(await client.getForApp('Api'), { done: true })

  t.strictSame(requests.map(({ headers }) => headers.authorization), ['Bearer old', 'Bearer old', 'Bearer of the claims', 'Bearer of the claims'])
  t.strictSame(provider.requests.map(({ claims }) => claims), [undefined, undefined, claims])
})
