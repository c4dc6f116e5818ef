import t from 'tap'
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

t.test('three failed acquisitions in a row open it, of one app or of several', async t => {
  for (const keys of [['a', 'a', 'a'], ['a', 'b', 'c']]) {
    const { circuit, fail } = circuitOf()
    for (const key of keys) {
      t.notOk(circuit.isOpen)
      await fail(app(key))
    }
    t.ok(circuit.isOpen)
  }
})

t.test('a success, or a refusal, which is an answer too, begins the row anew', async t => {
  for (const answer of ['success', 'refusal']) {
    const { circuit, fail, succeed } = circuitOf()
    await fail(app('a'))
    await fail(app('a'))
    if (answer === 'success') await succeed()
    else await fail(app('a'), refusal())
    await fail(app('a'))
    await fail(app('a'))
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

t.test('Retry-After holds everybody off, for half a minute at most, and the others are told how long', async t => {
  for (const [retryAfter, held] of [[7, 7], [3600, 30]] as const) {
    const { clock, succeed } = await openCircuit(fault({ retryAfter }))
    await t.rejects(succeed(), { ...failFast, retryAfter: held } as never)
    await clock.advance((held - 1) * 1000)
    await t.rejects(succeed(), { ...failFast, retryAfter: 1 } as never)
    await clock.advance(1000)
    t.equal(await succeed(), 'token')
  }
})
