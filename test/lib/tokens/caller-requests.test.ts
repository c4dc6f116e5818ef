import t from 'tap'
import { Caller } from '../../../lib/inbound/caller.ts'
import { CallerRequests } from '../../../lib/tokens/caller-requests.ts'
import type { OnBehalfOfRequest } from '../../../lib/tokens/token-request.ts'
import { requestOfUser } from '../../fixtures/engine.ts'

const requests = () => new CallerRequests(tenant => requestOfUser('', { tenant }).request as OnBehalfOfRequest, 'MyWebApi')

function callerOf (assertion: string, facts: { kind?: 'user' | 'app', tenantId?: string } = {}): Caller {
  return new Caller(assertion, { claims: { exp: 2_000_000_000 } as Caller['claims'], kind: 'user', tenantId: 'contoso', scopes: [], roles: [], key: {} as Caller['key'], ...facts })
}

t.test('what is asked for again and again is prepared once for each caller, and for nobody else', t => {
  const often = requests()
  const [alice, bob] = [callerOf('alice'), callerOf('bob')]
  often.of(alice)
  const ofAlice = often.of(alice)
  t.equal(often.of(alice), ofAlice)
  t.match(often.of(bob), { key: requestOfUser('bob').key, endsOn: 2_000_000_000_000 })
  t.match(often.of(callerOf('carol', { tenantId: 'fabrikam' })).request, { userAssertion: 'carol', authority: { tenantId: 'fabrikam' } })
  t.equal(often.of(alice), ofAlice)
  t.end()
})

t.test('calls with options of their own leave nothing with the caller, whose token may live for hours', t => {
  const often = requests()
  const alice = callerOf('alice')
  often.of(alice)
  const prepared = often.of(alice)
  for (let call = 0; call < 20; call++) t.not(requests().of(alice), prepared)
  t.equal(often.of(alice), prepared)
  t.end()
})
