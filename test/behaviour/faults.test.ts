import t from 'tap'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { TokenAcquisitionError } from '../../lib/errors.ts'
import { faults, flows, startFaultyProvider, startFaultyWorld, type FlowName } from '../fixtures/faults.ts'

t.setTimeout(120_000)

const entra = await startFaultyProvider()
t.teardown(() => entra.close())

const unhandled: unknown[] = []
process.on('unhandledRejection', reason => unhandled.push(reason))

for (const [flow, { attempts }] of Object.entries(flows) as [FlowName, typeof flows[FlowName]][]) {
  for (const [name, { requests, succeeds, message, begin }] of Object.entries(faults)) {
    const perAcquisition = requests(attempts)
    const failure = { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', statusCode: 503, retryable: true, message }

    t.test(`${flow}, ${name}, at cold start: all who wait get the one outcome, of a bounded number of requests, and the next call succeeds when it is over`, async t => {
      const world = await startFaultyWorld(t, flow, entra)
      const end = begin(world, flow)

      const outcomes = await Promise.all(Array.from({ length: 20 }, () => world.acquire().catch((error: unknown) => error as TokenAcquisitionError)))

      t.equal(new Set(outcomes).size, 1)
      if (succeeds) t.type(outcomes[0], 'string')
      else t.match(outcomes[0], failure)
      t.equal(world.asked(), perAcquisition)
      end()
      t.ok(await world.acquire())
    })

    t.test(`${flow}, ${name}, in the renewal window: no call fails or waits, renewals back off, and the token is renewed when it is over`, async t => {
      const world = await startFaultyWorld(t, flow, entra)
      const first = await world.acquire()
      world.clock.skip(2800)
      const end = begin(world, flow)
      const before = world.asked()

      const given = new Set<string>()
      for (let second = 0; second < 30; second++) {
        for (const token of await Promise.all([world.acquire(), world.acquire(), world.acquire()])) given.add(token)
        await world.settled()
        world.clock.skip(1)
      }

      const made = world.asked() - before
      if (succeeds) {
        t.ok(given.size === 2 && given.has(first))
        t.equal(made, 1)
      } else {
        t.strictSame(given, new Set([first]))
        // After 0, 1, 3, 7 and 15 seconds.
        t.ok(made >= perAcquisition && made <= 5 * perAcquisition, `${made} requests`)
        const warnings = world.identityWeb.lines.filter(({ level }) => level === 'warn')
        t.ok(warnings.length >= 1 && warnings.length <= 5 && warnings.every(({ message }) => message?.startsWith('token renewal failed')))
        t.match(warnings[0]?.fields, { err: failure })
      }
      end()
      world.clock.skip(331)
      await world.acquire()
      await world.settled()
      t.not(await world.acquire(), first)
      t.equal(world.identityWeb.tokenAcquirer.diagnostics()[0]?.lastError, undefined)
    })

    t.test(`${flow}, ${name}, after the token has ended: calls ${succeeds ? 'wait' : 'fail with the reason'}, ask a bounded number of times, and the next one succeeds when it is over`, async t => {
      const world = await startFaultyWorld(t, flow, entra)
      const first = await world.acquire()
      world.clock.skip(3601)
      const end = begin(world, flow)
      const before = world.asked()

      const outcomes: unknown[] = []
      for (let call = 0; call < 5; call++) outcomes.push(...await Promise.all([world.acquire(), world.acquire()].map(call => call.catch((error: unknown) => error))))

      t.notOk(outcomes.includes(first))
      if (succeeds) t.equal(new Set(outcomes).size, 1)
      else for (const outcome of outcomes) t.match(outcome, failure)
      // Three acquisitions, and then two probes of one attempt each; throttling makes no probes of the next ones.
      const ofAll = name.startsWith('429') ? 5 * perAcquisition : 3 * perAcquisition + 2 * requests(1)
      t.equal(world.asked() - before, succeeds ? 1 : ofAll)
      end()
      t.type(await world.acquire(), 'string')
    })
  }
}

t.test('no fault, at whatever time, leaves a rejection unhandled, or keeps the process alive', async t => {
  const script = fileURLToPath(new URL('../fixtures/processes/faults-at-any-time.ts', import.meta.url))

  const { stdout, stderr } = await promisify(execFile)(process.execPath, [...process.execArgv, script], { timeout: 60_000 })

  t.equal(stderr, '')
  t.equal(stdout.trim(), `${2 * Object.keys(faults).length} worlds`)
})

t.test('nor was one left unhandled here', async t => {
  t.strictSame(unhandled, [])
})
