import t from 'tap'
import { isFreeParameter, mergeParameters } from '../../../lib/authorities/query-parameters.ts'

t.test('parameters are merged without regard to the letter case of their names', async t => {
  t.strictSame(mergeParameters({ dc: 'one', Slice: 'a' }, { SLICE: 'b', more: 'c' }), { dc: 'one', Slice: 'b', more: 'c' })
  t.strictSame(mergeParameters({ dc: 'one' }), { dc: 'one' })
  const base = Object.freeze({ dc: 'one' })
  t.not(mergeParameters(base), base, 'a copy')
})

t.test('a parameter that OAuth gives a meaning is not free, in any letter case', async t => {
  for (const name of ['client_id', 'CLIENT_SECRET', 'client_assertion', 'client_assertion_type', 'assertion', 'grant_type', 'Scope', ' scope ', 'claims', 'fmi_path', 'refresh_token', 'requested_token_use']) t.equal(isFreeParameter(name), false, name)
  for (const name of ['dc', 'slice', 'client', 'p', 'domain_hint']) t.equal(isFreeParameter(name), true, name)
})
