import t from 'tap'
import { Caller, type CallerFacts } from '../../../lib/inbound/caller.ts'
import type { PreparedRequest } from '../../../lib/tokens/token-request.ts'

const facts = { claims: { aud: 'api', iss: 'x', exp: 1_800_000_000 }, kind: 'user', tenantId: 't', scopes: ['Read'], roles: [], key: {} as CallerFacts['key'] } as const
const requestOf = (name: string) => ({ name }) as unknown as PreparedRequest

t.test('the last requests of a caller are kept, by who prepared them, and no more than eight', async t => {
  const caller = new Caller('token', facts)
  const owners = Array.from({ length: 9 }, () => ({}))
  for (const [index, owner] of owners.entries()) t.strictSame(caller.prepare(owner, requestOf(`${index}`)), { name: `${index}` })
  t.equal(caller.preparedFor(owners[0]!), undefined)
  for (const [index, owner] of owners.slice(1).entries()) t.strictSame(caller.preparedFor(owner), { name: `${index + 1}` })
  t.equal(caller.preparedFor({}), undefined)
})

t.test('a caller lives as long as the token says, and its hash is made when it is wanted', async t => {
  const caller = new Caller('token', facts)
  t.equal(caller.expiresOn, 1_800_000_000_000)
  t.equal(caller.assertionHash, new Caller('token', facts).assertionHash)
  t.not(caller.assertionHash, new Caller('token2', facts).assertionHash)
  t.equal(new Caller('token', facts, 'made').assertionHash, 'made')
})
