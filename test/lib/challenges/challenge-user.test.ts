import t from 'tap'
import { challengeUser } from '../../../lib/challenges/challenge-user.ts'
import { decodeClaims } from '../../../lib/challenges/claims-challenge.ts'
import { parseChallenges } from '../../../lib/challenges/www-authenticate.ts'

const scopes = ['api://todo/Todo.Read', 'api://todo/Todo.Write']
const authority = { instance: 'https://login.example/', tenantId: 'contoso', policy: undefined, clientId: 'our-client', tokenEndpoint: '', isDiscovered: false, region: undefined }
const request = { authority, scopes }

t.test('the header says in order where to sign in, for whom, why, for which scopes, and with which claims', async t => {
  const { wwwAuthenticate } = challengeUser(request, { claims: '{"a":1}' })

  t.equal(wwwAuthenticate, 'Bearer authorization_uri="https://login.example/contoso/oauth2/v2.0/authorize", client_id="our-client", error="insufficient_claims", error_description="The user must sign in again and satisfy the claims of the challenge", scope="api://todo/Todo.Read api://todo/Todo.Write", claims="eyJhIjoxfQ=="')
  t.equal(decodeClaims(parseChallenges(wwwAuthenticate)[0]!.parameters.get('claims')!), '{"a":1}')
})

t.test('the user flow of Azure AD B2C is where the user signs in', async t => {
  const { wwwAuthenticate } = challengeUser({ ...request, authority: { ...authority, policy: 'b2c_1_susi' } }, {})
  t.match(wwwAuthenticate, 'authorization_uri="https://login.example/contoso/b2c_1_susi/oauth2/v2.0/authorize"')
})

t.test('the error follows from what Entra ID says', async t => {
  const interaction = ['interaction_required', scopes.join(' ')]
  const token = ['invalid_token', undefined]
  for (const [said, expected] of [
    [{ claims: '{}' }, ['insufficient_claims', scopes.join(' ')]],
    [{ claims: '{}', errorCodes: [500133] }, ['insufficient_claims', scopes.join(' ')]],
    ...[500133, 50013, 50173, 700082, 70000, 50057].map(code => [{ errorCodes: [code] }, token]),
    [{ suberror: 'bad_token' }, token],
    [{ errorCodes: [65001], suberror: 'consent_required' }, interaction],
    [{ errorCodes: [50076, 53003] }, interaction],
    [{}, interaction],
  ] as [object, unknown][]) {
    const { parameters } = parseChallenges(challengeUser(request, said).wwwAuthenticate)[0]!
    t.strictSame([parameters.get('error'), parameters.get('scope')], expected, JSON.stringify(said))
  }
})

t.test('the message says what to do, with the AADSTS numbers and nothing else of what was said', async t => {
  const said = { errorCodes: [65001, 50076], oauthError: 'said-oauth', suberror: 'said-suberror', correlationId: 'said-correlation', traceId: 'said-trace' }
  const cause = new Error('said')
  const error = challengeUser(request, said, { cause })

  t.equal(error.message, 'The user must sign in or consent (AADSTS65001, AADSTS50076). Answer the client with the WWW-Authenticate header of this error')
  t.notMatch(error.wwwAuthenticate, 'said')
  t.match(error, { ...said, cause, scopes, claims: undefined })
})
