import t from 'tap'
import type { AuthenticationResult } from '@azure/msal-node'
import { toToken } from '../../../lib/msal/msal-token.ts'

const known = { tenantId: 'contoso.example', scopes: ['api://todo/.default'], correlationId: 'c' }
const hour = 3_600_000
const resultOf = (more: Partial<AuthenticationResult> = {}) => ({ accessToken: 'a', tokenType: 'Bearer', expiresOn: new Date(Date.now() + hour), ...more }) as AuthenticationResult

t.test('a token is frozen, has its header, and ends by the clock that is given', async t => {
  const now = 1_000_000_000_000

  const token = toToken(resultOf({ refreshOn: new Date(Date.now() + hour / 2) }), known, () => now)

  t.match(token, { ...known, accessToken: 'a', tokenType: 'Bearer', authorizationHeader: 'Bearer a' })
  t.ok(Math.abs(token.expiresOn - now - hour) < 60_000)
  t.ok(Math.abs(token.refreshOn! - now - hour / 2) < 60_000)
  t.ok(Object.isFrozen(token))
  t.equal(toToken(resultOf(), known, () => now).refreshOn, undefined)
})

t.test('what holds no token that is still valid counts as a failed acquisition', async t => {
  for (const result of [null, resultOf({ accessToken: '' }), resultOf({ tokenType: '' }), resultOf({ expiresOn: null }), resultOf({ expiresOn: new Date(NaN) }), resultOf({ expiresOn: new Date(Date.now() - 1) })]) {
    t.throws(() => toToken(result, known, Date.now), { message: /no token that is still valid/ })
  }
})
