import t from 'tap'
import { isJwt, SignedAssertion } from '../../../lib/credentials/signed-assertion.ts'
import { endingJwt, jwtOf } from '../../fixtures/assertions.ts'

const MINUTE = 60_000
const now = 1_800_000_000_000

t.test('an assertion is due five minutes before its end, and ends when it says so', async t => {
  const assertion = new SignedAssertion(endingJwt('a', now, 60 * MINUTE), now)

  t.equal(assertion.endsOn, now + 60 * MINUTE)
  t.notOk(assertion.isDue(now + 55 * MINUTE - 1))
  t.ok(assertion.isDue(now + 55 * MINUTE))
  t.notOk(assertion.hasEnded(now + 60 * MINUTE - 1))
  t.ok(assertion.hasEnded(now + 60 * MINUTE))
})

t.test('a short one is due when a fifth of its life is left', async t => {
  const assertion = new SignedAssertion(endingJwt('a', now, 10 * MINUTE), now)

  t.notOk(assertion.isDue(now + 8 * MINUTE - 1))
  t.ok(assertion.isDue(now + 8 * MINUTE))
})

t.test('one that does not say when it ends never does', async t => {
  for (const text of [jwtOf('a'), jwtOf('a', { exp: 'soon' }), 'opaque']) {
    const assertion = new SignedAssertion(text, now)
    t.match(assertion, { text, endsOn: undefined })
    t.notOk(assertion.isDue(now * 2) || assertion.hasEnded(now * 2))
  }
})

t.test('a JWT is three parts, of which the second is a JSON object', async t => {
  const part = (text: string) => Buffer.from(text).toString('base64url')
  t.ok(isJwt(jwtOf('a')))
  for (const text of ['', 'a.b', 'a.b.c', `a.${part('"text"')}.c`, `a.${part('null')}.c`, `a.${part('{"exp":1')}.c`, `a.${part('{}')}.`, `a.${part('{}')}.c.d`, `${jwtOf('a')}\n${jwtOf('b')}`, `${jwtOf('a')} `]) t.notOk(isJwt(text), text)
})
