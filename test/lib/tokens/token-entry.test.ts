import t from 'tap'
import { TokenEntry, type TokenEntryOptions } from '../../../lib/tokens/token-entry.ts'
import { HOUR, requestOfApp, tokenOf } from '../../fixtures/engine.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'

const { description } = requestOfApp()

function entryOf (life = HOUR, refreshIn?: number, more: Partial<TokenEntryOptions> = {}) {
  const clock = new FakeClock()
  const entry = new TokenEntry(tokenOf('a', clock.now(), life, refreshIn), { description, source: 'identity-provider', number: 7, joins: 3, clock, random: () => 0, ...more })
  return { clock, entry }
}

t.test('an entry knows what it was made from', async t => {
  const { entry } = entryOf()
  t.match(entry, { description, source: 'identity-provider', number: 7, joins: 3, hits: 0, failures: 0, lastError: undefined })
})

t.test('a token is fresh, due from its renewal on, and expired five seconds before its end', async t => {
  const { clock, entry } = entryOf(HOUR, HOUR / 2)
  const start = clock.now()
  t.equal(entry.renewOn, start + HOUR / 2)
  await clock.advance(HOUR / 2 - 1)
  t.equal(entry.age, 'fresh')
  await clock.advance(1)
  t.equal(entry.age, 'due')
  await clock.advance(HOUR / 2 - 5001)
  t.equal(entry.age, 'due')
  await clock.advance(1)
  t.equal(entry.age, 'expired')
  t.equal(entry.left, 5000)
  await clock.advance(5000)
  t.equal(entry.left, 0)
})

t.test('a short life loses a fiftieth only', async t => {
  const { clock, entry } = entryOf(10_000)
  await clock.advance(7500)
  t.equal(entry.age, 'due')
  await clock.advance(2299)
  t.equal(entry.age, 'due')
  await clock.advance(1)
  t.equal(entry.age, 'expired')
})

t.test('a failure puts the renewal off, further every time, and is counted once', async t => {
  const { clock, entry } = entryOf(HOUR, HOUR / 2)
  await clock.advance(HOUR / 2)
  const error = new Error('busy')

  t.equal(entry.renewalFailed(error, undefined), true)
  t.equal(entry.renewalFailed(error, undefined), false, 'another who waited for the same')
  t.match(entry, { failures: 1, lastError: error, age: 'fresh' })
  await clock.advance(1000)
  t.equal(entry.age, 'due')
  entry.renewalFailed(error, undefined)
  await clock.advance(1999)
  t.equal(entry.age, 'fresh')
  await clock.advance(1)
  t.equal(entry.age, 'due')
  entry.renewalFailed(error, 60)
  t.equal(entry.renewOn, clock.now() + 60_000)
})

t.test('a token whose renewal has failed is used to its very end', async t => {
  const { clock, entry } = entryOf()
  await clock.advance(HOUR - 3000)
  t.equal(entry.age, 'expired')
  entry.renewalFailed(new Error('busy'), undefined)
  t.equal(entry.age, 'fresh')
  await clock.advance(2999)
  t.equal(entry.age, 'due')
  await clock.advance(1)
  t.equal(entry.age, 'expired')
})

t.test('a renewal that another process makes is put off for a moment', async t => {
  const { clock, entry } = entryOf(HOUR, HOUR / 2)
  await clock.advance(HOUR / 2)
  entry.renewLater(2000)
  t.match(entry, { age: 'fresh', failures: 0 })
  await clock.advance(2000)
  t.equal(entry.age, 'due')
})

t.test('a clock that is set back does not make a token live longer', async t => {
  const { clock, entry } = entryOf()
  clock.setWall(clock.now() - 10 * HOUR)
  t.equal(entry.age, 'fresh')
  await clock.advance(0.75 * HOUR)
  t.equal(entry.age, 'due', 'nor is it renewed later')
  await clock.advance(0.25 * HOUR)
  t.match(entry, { age: 'expired', left: 0 })
})

t.test('a machine that slept, or a clock that is set forward, ends a token', async t => {
  const { clock, entry } = entryOf()
  clock.setWall(clock.now() + HOUR)
  t.match(entry, { age: 'expired', left: 0 })
  clock.setWall(clock.now() - HOUR)
  t.equal(entry.age, 'fresh', 'until it is set right again')
})

t.test('whether a token is fresh is the same by the quick way as by its age, on both clocks, to the millisecond', async t => {
  for (const life of [HOUR, 10_000, 1500]) {
    const { clock, entry } = entryOf(life, life / 2 + 0.5)
    const agree = (when: string) => t.equal(entry.isFresh(clock.elapsed(), clock.now()), entry.age === 'fresh', `${life} ms: ${when}`)
    agree('at first')
    for (const step of [life / 2 - 1001, 1, 999, 1, 1, 500]) {
      await clock.advance(step)
      agree(`after another ${step}`)
    }
    entry.renewalFailed(new Error('busy'), undefined)
    agree('put off')
    await clock.advance(1001)
    agree('due again')
    entry.renewLater(700)
    agree('left to another')
    clock.setWall(entry.token.expiresOn - 1)
    agree('the clock was set')
    clock.setWall(entry.token.expiresOn)
    agree('at its end')
  }
})
