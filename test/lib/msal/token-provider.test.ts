import t from 'tap'
import { inspect } from 'node:util'
import type { AppConfiguration } from '../../../lib/configuration/configuration.ts'
import { TokenProvider } from '../../../lib/msal/token-provider.ts'
import { parseChallenges } from '../../../lib/challenges/www-authenticate.ts'
import type { ChallengeUserError } from '../../../lib/errors.ts'
import { clientCredentials } from '../../fixtures/credentials.ts'
import { requestOfUser } from '../../fixtures/engine.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'
import { loggerOf } from '../../fixtures/identity-web.ts'
import { sessions } from '../../fixtures/sessions.ts'
import { answerJson, startRawServer, type RawRequest } from '../../fixtures/raw-server.ts'

const { signal } = new AbortController()
const assertionOf = ({ body }: RawRequest) => new URLSearchParams(body).get('assertion')!

async function providerFor (t: Parameters<typeof startRawServer>[0], answer: Parameters<typeof startRawServer>[1]) {
  const { origin, requests } = await startRawServer(t, answer)
  const clock = new FakeClock()
  const provider = new TokenProvider(clock, clientCredentials(), sessions(), undefined, loggerOf([]))
  t.teardown(() => provider.close())
  const app = { name: 'AzureAd', clientCredentials: [{ sourceType: 'ClientSecret', clientSecret: 'secret' }] } as unknown as AppConfiguration
  const askFor = (user: string) => {
    const { request } = requestOfUser(user)
    if (request.flow !== 'onBehalfOf') throw new Error('unused')
    return provider.ask({ ...request, app, authority: { ...request.authority, instance: `${origin}/`, tokenEndpoint: `${origin}/contoso/oauth2/v2.0/token` } }, signal)
  }
  return { clock, askFor, requests }
}

t.test('a token on behalf of a user is asked for with the assertion of that user, and lives on the clock that is given', async t => {
  const { clock, askFor, requests } = await providerFor(t, (request, response) => answerJson(response, 200, { access_token: `of ${assertionOf(request)}`, token_type: 'Bearer', expires_in: 3600 }))
  await clock.advance(1_000_000)

  const tokens = await Promise.all(['alice', 'bob', 'alice'].map(askFor))

  t.strictSame(tokens.map(({ accessToken }) => accessToken), ['of alice', 'of bob', 'of alice'])
  t.ok(tokens.every(({ expiresOn }) => Math.abs(expiresOn - clock.now() - 3_600_000) < 60_000))
  const [form] = requests.map(({ body }) => Object.fromEntries(new URLSearchParams(body)))
  t.match(form, { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', requested_token_use: 'on_behalf_of', client_id: 'client', client_secret: 'secret' })
  t.equal(requests.length, 3, 'MSAL keeps nothing')
})

t.test('the failure of one user answers no other, and the assertion is in no error', async t => {
  const { askFor, requests } = await providerFor(t, (request, response) => {
    if (assertionOf(request) !== 'throttled assertion') return answerJson(response, 200, { access_token: 'a token', token_type: 'Bearer', expires_in: 3600 })
    answerJson(response, 429, { error: 'throttled', error_description: `for ${assertionOf(request)}` }, { 'retry-after': '60' })
  })

  const error = await askFor('throttled assertion').catch((error: Error) => error as Error)
  t.match(error, { status: 429, retryAfter: 60, cause: { message: 'Entra ID said: for [redacted]' } })
  t.equal((await askFor('another')).accessToken, 'a token')
  t.equal(requests.length, 2)
})

/** What Entra ID says when it refuses to exchange the assertion. */
const refusal = (error: string, code: number, more: object = {}) => ({
  error,
  error_description: `AADSTS${code}: The provider's own words. Trace ID: 0f1c Correlation ID: 7d5e`,
  error_codes: [code],
  trace_id: '66666666-6666-4666-8666-666666666666',
  correlation_id: '77777777-7777-4777-8777-777777777777',
  ...more,
})

t.test('what Entra ID refuses because of the user asks for the user, and says so in our words only', async t => {
  const claims = '{"access_token":{"capolids":{"essential":true,"values":["c1"]}}}'
  for (const [body, error, expected] of [
    [refusal('interaction_required', 50076, { suberror: 'basic_action', claims }), 'insufficient_claims', { claims }],
    [refusal('interaction_required', 53003, { suberror: 'message_only' }), 'interaction_required', {}],
    [refusal('interaction_required', 50076, { claims: 'no claims' }), 'interaction_required', { claims: undefined }],
    [refusal('invalid_grant', 65001, { suberror: 'consent_required' }), 'interaction_required', { suberror: 'consent_required' }],
    [refusal('consent_required', 65001), 'interaction_required', {}],
    [refusal('login_required', 50058), 'interaction_required', {}],
    [refusal('invalid_grant', 500133), 'invalid_token', { suberror: undefined }],
    [refusal('invalid_grant', 1, { suberror: 'bad_token' }), 'invalid_token', {}],
    [refusal('invalid_grant', 9), 'interaction_required', {}],
  ] as [ReturnType<typeof refusal>, string, object][]) {
    const { askFor, requests } = await providerFor(t, (_, response) => answerJson(response, 400, body))

    const thrown = await askFor('secret assertion').catch((error: unknown) => error as ChallengeUserError) as ChallengeUserError

    const { error: oauthError, error_codes: errorCodes, trace_id: traceId, correlation_id: correlationId } = body
    t.match(thrown, { name: 'ChallengeUserError', statusCode: 401, oauthError, errorCodes, traceId, correlationId, scopes: ['api://todo/.default'], claims: undefined, cause: { message: `Entra ID said: ${body.error_description}` }, ...expected })
    t.equal(parseChallenges(thrown.wwwAuthenticate)[0]?.parameters.get('error'), error)
    t.notMatch(`${thrown.message} ${thrown.wwwAuthenticate}`, /provider's|Trace ID/)
    t.notMatch(inspect(thrown, { depth: Infinity }), 'secret assertion')
    t.equal(requests.length, 1)
  }
})

t.test('what Entra ID refuses because of the app, or cannot answer now, does not ask for the user', async t => {
  for (const [status, body] of [
    [401, refusal('invalid_client', 7000215)],
    [400, refusal('invalid_scope', 70011)],
    [400, refusal('unauthorized_client', 700016)],
    [429, refusal('invalid_grant', 50196)],
    [503, refusal('interaction_required', 90033)],
  ] as const) {
    const { askFor } = await providerFor(t, (_, response) => answerJson(response, status, body))
    await t.rejects(askFor('assertion'), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', status, oauthError: body.error })
  }
})
