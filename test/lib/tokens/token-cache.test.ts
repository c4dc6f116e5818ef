import t from 'tap'
import { TokenCache } from '../../../lib/tokens/token-cache.ts'
import type { Token } from '../../../lib/tokens/token.ts'

const minute = 60_000
const hour = 60 * minute

function tokenUntil (expiresOn: number): Token {
  return { accessToken: 'a', authorizationHeader: 'Bearer a', tokenType: 'Bearer', expiresOn, refreshOn: undefined, tenantId: undefined, scopes: [], correlationId: 'c' }
}

function cacheAt (maxEntries = 10) {
  const clock = { now: 1_000_000_000_000 }
  return { clock, start: clock.now, cache: new TokenCache(maxEntries, () => clock.now) }
}

t.test('a token is given until a minute before its end', async t => {
  const { cache, clock, start } = cacheAt()
  const token = tokenUntil(start + hour)
  cache.set('key', token)

  clock.now = start + hour - minute - 1
  t.equal(cache.get('key'), token)
  clock.now = start + hour - minute
  t.equal(cache.get('key'), undefined)
  clock.now = start
  t.equal(cache.get('key'), undefined, 'and is not kept once it has been found to have ended')
})

t.test('a token that lives for a minute is given for nine tenths of it', async t => {
  const { cache, clock, start } = cacheAt()
  cache.set('key', tokenUntil(start + minute))

  clock.now = start + 0.9 * minute - 1
  t.ok(cache.get('key'))
  clock.now = start + 0.9 * minute
  t.equal(cache.get('key'), undefined)
})

t.test('a clock that was set back by an hour does not make a token last longer', async t => {
  const { cache, clock, start } = cacheAt()
  cache.set('key', tokenUntil(start + hour))

  clock.now = start - hour
  t.equal(cache.get('key'), undefined)
})

t.test('the number of tokens is bounded: the least recently used makes room', async t => {
  const { cache, start } = cacheAt(2)
  cache.set('a', tokenUntil(start + hour))
  cache.set('b', tokenUntil(start + hour))
  cache.get('a')

  cache.set('c', tokenUntil(start + hour))

  t.strictSame(['a', 'b', 'c'].map(key => cache.get(key) !== undefined), [true, false, true])
})

t.test('clear forgets all tokens', async t => {
  const { cache, start } = cacheAt()
  cache.set('a', tokenUntil(start + hour))
  cache.clear()
  t.equal(cache.get('a'), undefined)
})
