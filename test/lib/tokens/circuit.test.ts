import t from 'tap'
import { ChallengeUserError } from '../../../lib/errors.ts'
import { Circuit, type Subject } from '../../../lib/tokens/circuit.ts'
import { fault, pending, refusal } from '../../fixtures/engine.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'

const app = (key: string): Subject => ({ key, isOfUser: false })
const user = (key: string): Subject => ({ key, isOfUser: true })
const failFast = { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', statusCode: 503, retryable: true, message: /has been failing/ }

function circuitOf () {
  const clock = new FakeClock()
  const circuit = new Circuit(clock)
  const fail = (subject: Subject, error: Error = fault()) => circuit.run(subject, () => Promise.reject(error)).catch((error: unknown) => error)
  const succeed = () => circuit.run(app('a'), async () => 'token')
  return { clock, circuit, fail, succeed }
}

/** Three apps in a row that got no answer but a fault. */
async function openCircuit (error = fault()) {
  const world = circuitOf()
  for (const key of ['a', 'b', 'c']) await world.fail(app(key), error)
  return world
}

t.test('three different keys that fail in a row open it for all', async t => {
  const { circuit, fail } = circuitOf()
  for (const key of ['a', 'b', 'c']) {
    t.notOk(circuit.isOpen)
    await fail(app(key))
  }
  t.ok(circuit.isOpen)
})

t.test('a key that fails again and again is held off alone, and one of its acquisitions at a time is a probe', async t => {
  const { circuit, fail, succeed } = circuitOf()
  for (let time = 0; time < 3; time++) t.match(await fail(app('b')), { message: 'busy' })
  const answer = pending<string>()
  const probes: boolean[] = []
  const probe = circuit.run(app('b'), isProbe => { probes.push(isProbe); return answer.promise })
  t.match(await fail(app('b')), failFast)
  t.notOk(circuit.isOpen)
  t.equal(await succeed(), 'token')

  answer.resolve('token')
  await probe
  t.strictSame(probes, [true])
  await circuit.run(app('b'), async isProbe => { probes.push(isProbe) })
  t.strictSame(probes, [true, false])
})

t.test('users who are asked for do not open it, and are an answer that ends it', async t => {
  const challenge = new ChallengeUserError('sign in', { wwwAuthenticate: 'Bearer', scopes: [] })
  const { circuit, fail } = circuitOf()
  for (const key of ['a', 'b', 'c', 'c', 'c']) t.equal(await fail(user(key), challenge), challenge)
  t.notOk(circuit.isOpen)
  await circuit.run(user('c'), async isProbe => t.notOk(isProbe))

  const open = await openCircuit()
  t.ok(open.circuit.isOpen)
  t.equal(await open.fail(user('d'), challenge), challenge)
  t.notOk(open.circuit.isOpen)
})

t.test('what endpoints answer for one identity or resource holds off that key only', async t => {
  for (const status of [404, 410]) {
    const { circuit, fail } = circuitOf()
    for (const key of ['a', 'b', 'c', 'd', 'd', 'd']) await fail(app(key), fault({ status }))
    t.notOk(circuit.isOpen)
    await circuit.run(app('d'), async isProbe => t.ok(isProbe))
    await circuit.run(app('a'), async isProbe => t.notOk(isProbe))
  }
})

t.test('a success, or a refusal, which is an answer too, begins the row anew', async t => {
  for (const answer of ['success', 'refusal']) {
    const { circuit, fail, succeed } = circuitOf()
    await fail(app('b'))
    await fail(app('c'))
    if (answer === 'success') await succeed()
    else await fail(app('a'), refusal())
    await fail(app('b'))
    await fail(app('c'))
    t.notOk(circuit.isOpen, answer)
  }
})

t.test('one user who fails again and again opens nothing; three users do', async t => {
  const { circuit, fail } = circuitOf()
  for (let time = 0; time < 10; time++) await fail(user('one'))
  await fail(user('two'))
  t.notOk(circuit.isOpen)
  await fail(user('three'))
  t.ok(circuit.isOpen)
})

t.test('throttling, a fault of the call itself, and a bug count for nothing, in either direction', async t => {
  const odd = [fault({ status: 429 }), refusal({ status: undefined }), new TypeError('a bug')]
  const { circuit, fail } = circuitOf()
  for (const error of [...odd, ...odd]) await fail(app('a'), error)
  t.notOk(circuit.isOpen)
  const open = await openCircuit()
  for (const error of odd) await open.fail(app('a'), error)
  t.ok(open.circuit.isOpen)
})

t.test('while it is open, one probe goes through at a time and the others fail at once; a probe that succeeds closes it', async t => {
  const { circuit, fail, succeed } = await openCircuit()
  const answer = pending<string>()
  const probe = circuit.run(app('a'), () => answer.promise)

  for (let caller = 0; caller < 5; caller++) await t.rejects(succeed(), { ...failFast, retryAfter: 1, cause: { message: 'busy' } } as never)
  answer.reject(fault())
  await t.rejects(probe, { message: 'busy' })
  t.ok(circuit.isOpen)

  t.equal(await succeed(), 'token')
  t.notOk(circuit.isOpen)
  await fail(app('a'))
  t.notOk(circuit.isOpen)
})

t.test('a success that was on its way when it opened closes it', async t => {
  const { circuit, fail } = circuitOf()
  const answer = pending<string>()
  const slow = circuit.run(app('slow'), () => answer.promise)
  for (const key of ['a', 'b', 'c']) await fail(app(key))
  answer.resolve('token')
  await slow
  t.notOk(circuit.isOpen)
})

t.test('Retry-After holds everybody off for two seconds at most, and the others are told what was asked', async t => {
  for (const [retryAfter, held] of [[1, 1000], [3600, 2000]] as const) {
    const { clock, succeed } = await openCircuit(fault({ retryAfter }))
    await t.rejects(succeed(), { ...failFast, retryAfter } as never)
    await clock.advance(held - 1)
    await t.rejects(succeed(), failFast as never)
    await clock.advance(1)
    t.equal(await succeed(), 'token')
  }
})

t.test('a later failure without Retry-After does not shorten the hold', async t => {
  const { clock, circuit, fail, succeed } = circuitOf()
  const answer = pending<string>()
  const slow = circuit.run(app('slow'), () => answer.promise)
  for (const key of ['a', 'b', 'c']) await fail(app(key), fault({ retryAfter: 2 }))
  answer.reject(fault())
  await t.rejects(slow)
  await clock.advance(1999)
  await t.rejects(succeed(), failFast as never)
  await clock.advance(1)
  t.equal(await succeed(), 'token')
})

t.test('five failed probes put nothing off, and further ones the next for up to two seconds', async t => {
  const { clock, fail, succeed } = await openCircuit()
  for (let probe = 1; probe <= 5; probe++) t.match(await fail(app(`probe ${probe}`)), { message: 'busy' })
  for (const [probe, hold] of [50, 100, 200, 400, 800, 1600, 2000, 2000].entries()) {
    t.match(await fail(app(`late ${probe}`)), { message: 'busy' })
    await clock.advance(hold - 1)
    await t.rejects(succeed(), failFast as never)
    await clock.advance(1)
  }
  t.equal(await succeed(), 'token')
})

t.test('what the provider said to one user is told to that user only', async t => {
  const { circuit, fail } = circuitOf()
  for (const key of ['a', 'b', 'c']) await fail(user(key), fault({ retryAfter: 1 }))
  t.ok(circuit.isOpen)
  t.match(await fail(user('c')), { ...failFast, cause: { message: 'busy' } })
  for (const other of [user('a'), app('d')]) t.equal((await fail(other) as Error).cause, undefined)
})
