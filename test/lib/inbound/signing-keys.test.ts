import t from 'tap'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { generateKeyPair } from 'jose'
import { SigningKeys, type PublishedKeys } from '../../../lib/inbound/signing-keys.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const { publicKey } = await generateKeyPair('RS256')
const published = (...names: string[]): PublishedKeys => names.map(name => {
  const [kid = '', modulus = kid] = name.split('=')
  return { kid, key: publicKey, issuer: undefined, modulus }
})

function keysOf () {
  const clock = new FakeClock()
  const failures: unknown[] = []
  const state = { answer: (async () => published('a')) as () => Promise<PublishedKeys>, fetched: 0 }
  const keys = new SigningKeys({
    clock,
    fetch: () => {
      state.fetched++
      return state.answer()
    },
    onFailure: error => failures.push(error),
  })
  return { clock, failures, state, keys }
}

t.test('keys are fetched when one is wanted first, once for all who want one', async t => {
  const { keys, state } = keysOf()
  const found = await Promise.all(Array.from({ length: 100 }, () => keys.find('a')))
  t.equal(new Set(found).size, 1)
  t.match(found[0], { kid: 'a', isPublished: true })
  t.equal(state.fetched, 1)
})

t.test('a flood of names that are not there makes one more request, and another only after the cooldown', async t => {
  const { keys, state, clock } = keysOf()
  await keys.find('a')
  await clock.advance(30 * SECOND)
  await Promise.all(Array.from({ length: 10_000 }, (_, index) => keys.find(`made-up-${index}`)))
  for (let index = 0; index < 100; index++) t.equal(await keys.find(`more-${index}`), undefined)
  t.equal(state.fetched, 2)
  await clock.advance(30 * SECOND - 1)
  await keys.find('made-up')
  t.equal(state.fetched, 2)
  await clock.advance(1)
  await keys.find('made-up')
  t.equal(state.fetched, 3)
})

t.test('names that are not there leave nothing in memory', async t => {
  const { keys } = keysOf()
  const flood = async () => {
    for (let index = 0; index < 100_000; index++) await keys.find(`made-up-${index}-${'x'.repeat(100)}`)
    collect()
    return process.memoryUsage().heapUsed
  }
  const before = await flood()
  const after = await flood()
  t.ok(after - before < 1_000_000, `${after - before} bytes`)
})

t.test('a key that is known is found at once while others are asked for', async t => {
  const { keys, state, clock } = keysOf()
  await keys.find('a')
  await clock.advance(MINUTE)
  state.answer = () => new Promise(() => {})
  const waiting = keys.find('unknown')
  t.match(await keys.find('a'), { kid: 'a' })
  t.ok(waiting instanceof Promise)
  t.equal(state.fetched, 2)
})

t.test('a new key that was unknown at first is found after the cooldown', async t => {
  const { keys, state, clock } = keysOf()
  t.equal(await keys.find('b'), undefined)
  state.answer = async () => published('a', 'b')
  t.equal(await keys.find('b'), undefined)
  await clock.advance(30 * SECOND)
  t.match(await keys.find('b'), { kid: 'b' })
})

t.test('keys are renewed in the background when they are due, and before they are used when they are old', async t => {
  const { keys, state, clock } = keysOf()
  const first = await keys.find('a')
  await clock.advance(45 * MINUTE - 1)
  t.equal(keys.areFresh, true)
  t.equal(state.fetched, 1)

  await clock.advance(1)
  t.equal(keys.areFresh, true)
  t.equal(state.fetched, 2, 'in the background')
  await clock.advance(HOUR)
  state.answer = async () => published('a=other')
  t.equal(keys.areFresh, false)
  const second = await keys.find('a')
  t.not(second, first)
  t.match([first, second], [{ isPublished: false }, { isPublished: true, modulus: 'other' }])
})

t.test('a key that stays is the same, one that changes under its name is another, and one that goes is published no longer', async t => {
  const { keys, state, clock } = keysOf()
  state.answer = async () => published('a', 'b', 'c')
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].map(name => keys.find(name)))
  await clock.advance(HOUR)
  state.answer = async () => [...published('a', 'b=other'), { ...published('d')[0]!, issuer: 'x' }]
  t.equal(await keys.find('a'), a)
  t.not(await keys.find('b'), b)
  t.equal(await keys.find('c'), undefined)
  t.match([a, b, c].map(key => key!.isPublished), [true, false, false])
  const d = await keys.find('d')
  await clock.advance(HOUR)
  state.answer = async () => published('a', 'c', 'd')
  t.not(await keys.find('c'), c, 'one that comes back is looked at anew')
  t.not(await keys.find('d'), d, 'for another issuer it is another key')
})

t.test('the last good keys are used for a day while the authority cannot be asked, and not longer', async t => {
  const { keys, state, clock, failures } = keysOf()
  const key = (await keys.find('a'))!
  state.answer = async () => { throw new Error('down') }
  await clock.advance(24 * HOUR - 1)
  t.equal(await keys.find('a'), key)
  t.equal(keys.mayUse(key), true)
  await clock.advance(1)
  await t.rejects(keys.find('a'), { message: 'the keys of the authority could not be fetched' })
  t.equal(keys.mayUse(key), false)
  t.match(failures[0], { message: 'down' })

  state.answer = async () => published('a')
  await clock.advance(MINUTE)
  t.equal(await keys.find('a'), key)
})

t.test('an authority that fails is asked again after a second, and after twice as long each time, up to thirty', async t => {
  const { keys, state, clock, failures } = keysOf()
  state.answer = async () => { throw new Error('down') }
  await t.rejects(keys.find('a'))
  for (const [index, wait] of [1, 2, 4, 8, 16, 30, 30, 30].entries()) {
    await clock.advance(wait * SECOND - 1)
    await t.rejects(keys.find('a'))
    t.equal(state.fetched, index + 1)
    await clock.advance(1)
    await t.rejects(keys.find('a'))
    t.equal(state.fetched, index + 2)
  }
  t.equal(failures.length, 9)

  state.answer = async () => published('a')
  await clock.advance(30 * SECOND)
  t.match(await keys.find('a'), { kid: 'a' })
  state.answer = async () => { throw new Error('down') }
  await clock.advance(30 * SECOND)
  await keys.find('b')
  state.answer = async () => published('b')
  await clock.advance(SECOND)
  t.match(await keys.find('b'), { kid: 'b' }, 'success starts anew')
})

t.test('nobody waits for an authority that has just failed, while the last good keys may be used', async t => {
  const { keys, state, clock, failures } = keysOf()
  await keys.find('a')
  const waiting: ((error: Error) => void)[] = []
  state.answer = () => new Promise((_resolve, reject) => waiting.push(reject))
  await clock.advance(HOUR)
  const first = keys.find('a')
  t.equal(waiting.length, 1, 'whoever comes first waits, since the key may have been taken out')
  waiting.shift()!(new Error('no answer'))
  t.match(await first, { kid: 'a' })

  for (const wait of [1, 2, 4, 8, 16, 30, 30]) {
    await clock.advance(wait * SECOND)
    t.match(await keys.find('a'), { kid: 'a' })
    t.equal(waiting.length, 1, 'it is asked meanwhile')
    waiting.shift()!(new Error('no answer'))
    await new Promise(setImmediate)
  }
  t.equal(failures.length, 8)

  await clock.advance(10 * MINUTE)
  state.answer = async () => published('b')
  t.equal(await keys.find('a'), undefined, 'after a while without a request it is waited for again')
})

t.test('where there are no keys that may be used, everybody waits for them, also after a failure', async t => {
  const { keys, state, clock } = keysOf()
  const slowly = async () => {
    await new Promise(setImmediate)
    return published('a')
  }
  state.answer = async () => { throw new Error('down') }
  await t.rejects(keys.find('a'))
  await clock.advance(SECOND)
  state.answer = slowly
  t.match(await keys.find('a'), { kid: 'a' })

  state.answer = async () => { throw new Error('down') }
  await clock.advance(24 * HOUR - SECOND)
  t.match(await keys.find('a'), { kid: 'a' })
  state.answer = slowly
  await clock.advance(SECOND)
  t.match(await keys.find('a'), { kid: 'a' })
})
