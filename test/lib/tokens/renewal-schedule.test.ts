import t from 'tap'
import fc from 'fast-check'
import { renewalBackOff, renewalDelay } from '../../../lib/tokens/renewal-schedule.ts'

const never = () => 0
const always = () => 1
const life = 3_600_000

t.test('a token is renewed when the identity provider wants it, else at three quarters of its life', async t => {
  t.equal(renewalDelay(life, 1_800_000, never), 1_800_000)
  t.equal(renewalDelay(life, undefined, never), 2_700_000)
  for (const odd of [0, -1, life, life + 1, NaN]) t.equal(renewalDelay(life, odd, never), 2_700_000, `refresh_in ${odd}`)
})

t.test('renewal is spread over the last tenth of the time before it', async t => {
  t.equal(renewalDelay(life, 1_800_000, always), 1_620_000)
  fc.assert(fc.property(fc.integer({ min: 1, max: 10 ** 9 }), fc.option(fc.integer(), { nil: undefined }), fc.double({ min: 0, max: 1, noNaN: true }), (life, refreshIn, chance) => {
    const delay = renewalDelay(life, refreshIn, () => chance)
    return delay > 0 && delay < life
  }))
})

t.test('a failed renewal is tried again after one second, then two, up to five minutes', async t => {
  t.strictSame([1, 2, 3, 4, 9, 10, 11, 2000].map(failures => renewalBackOff(failures, undefined, never)), [1, 2, 4, 8, 256, 300, 300, 300].map(seconds => seconds * 1000))
  t.equal(renewalBackOff(1, undefined, always), 1100)
})

t.test('Retry-After is heeded where it is longer, up to five minutes', async t => {
  t.strictSame([0, 1, 7, 300, 3600].map(retryAfter => renewalBackOff(1, retryAfter, never)), [1, 1, 7, 300, 300].map(seconds => seconds * 1000))
  t.equal(renewalBackOff(5, 7, never), 16_000)
})
