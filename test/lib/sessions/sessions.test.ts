import t from 'tap'
import { TokenCipher } from '../../../lib/store/token-cipher.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'
import { sessions } from '../../fixtures/sessions.ts'
import { MemoryStore } from '../../fixtures/token-store.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const session = { owner: 'a tenant/a user', tenantId: 'a tenant', refreshToken: 'a refresh token' }

/** The sessions of two processes that share a store. */
function startTwo () {
  const clock = new FakeClock()
  const shared = { store: new MemoryStore(clock), cipher: new TokenCipher([{ id: 'k1', key: Buffer.alloc(32, 7) }]) }
  return { clock, here: sessions({ shared, clock }), there: sessions({ shared, clock }) }
}

t.test('a session that another process has ended is known for a minute at most', async t => {
  const { clock, here, there } = startTwo()
  await there.keep('job-1', session, clock.elapsed())
  t.match(await here.head('job-1'), { owner: session.owner })

  await there.end('job-1')
  t.equal(await there.head('job-1'), undefined, 'at once where it was ended')
  await clock.advance(MINUTE)
  t.equal(await here.head('job-1'), undefined)
})

t.test('a session is in the shared store for 90 days after it was kept last', async t => {
  const { clock, here, there } = startTwo()
  await here.keep('job-1', session, clock.elapsed())
  await clock.advance(89 * DAY)
  t.match(await there.find('job-1'), session)
  await there.keep('job-1', session, clock.elapsed())

  await clock.advance(89 * DAY)
  t.match(await here.find('job-1'), session)
  await clock.advance(DAY)
  t.equal(await here.find('job-1'), undefined)
})
