import t from 'tap'
import type { AppConfiguration } from '../../../lib/configuration/configuration.ts'
import { TokenProvider } from '../../../lib/msal/token-provider.ts'
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
