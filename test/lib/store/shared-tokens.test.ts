import t from 'tap'
import { SharedTokens, type ObtainOptions, type RenewOptions } from '../../../lib/store/shared-tokens.ts'
import { entryName } from '../../../lib/store/entry-name.ts'
import { toStoredText } from '../../../lib/store/stored-token.ts'
import type { TokenStore } from '../../../lib/store/token-store.ts'
import type { Token } from '../../../lib/tokens/token.ts'
import type { PreparedRequest } from '../../../lib/tokens/token-request.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'
import { MemoryStore, aToken, cipher, memoryLogger, settle } from '../../fixtures/token-store.ts'

const HOUR = 3_600_000
const PATIENCE = 2_500
const asApp = { request: { flow: 'clientCredentials' }, key: 'key' } as PreparedRequest
const asManaged = (managedIdentity: object, workloadIdentity?: object) => ({ request: { flow: 'managedIdentity', managedIdentity, workloadIdentity }, key: 'key' }) as PreparedRequest

/** Processes that share a store; time is the same for all. */
function fleet (size: number, { sharesManagedIdentities = false, given }: { sharesManagedIdentities?: boolean, given?: (memory: MemoryStore) => TokenStore } = {}) {
  const clock = new FakeClock()
  const memory = new MemoryStore(clock)
  const { logger, lines } = memoryLogger()
  const processes = Array.from({ length: size }, () => new SharedTokens({ store: given?.(memory) ?? memory, cipher, sharesManagedIdentities, clock, random: () => 1, logger }))
  let asked = 0
  /** The identity provider, which takes its time. */
  const ask = (delay = 0) => async () => {
    asked++
    if (delay > 0) await new Promise<void>(resolve => { clock.after(delay, resolve) })
    return aToken(clock, `token-${asked}`)
  }
  const asking = () => ({ ask: ask(), isNewest: () => true, signal: new AbortController().signal })
  const options = (more: Partial<ObtainOptions> = {}): ObtainOptions => ({ ...asking(), patience: PATIENCE, ...more })
  const renewal = (due: Token, more: Partial<RenewOptions> = {}): RenewOptions => ({ ...asking(), due, needsLease: true, ...more })
  return { clock, memory, lines, processes, ask, options, renewal, asked: () => asked }
}

/** Lets `ms` go by in small steps, so that what waits for timers can go on between them. */
async function pass (clock: FakeClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 50) {
    await settle()
    clock.tick(50)
  }
  await settle()
}

const leaseless = (memory: MemoryStore): TokenStore => ({ get: key => memory.get(key), set: (...entry) => memory.set(...entry), delete: key => memory.delete(key) })

t.test('what one process asked for, the next finds', async t => {
  const { processes: [first, second], options, asked, memory } = fleet(2)

  const one = await first!.obtain(asApp, options())
  await settle()
  const other = await second!.obtain(asApp, options())

  t.match([one, other], [{ source: 'identity-provider', token: { accessToken: 'token-1' } }, { source: 'distributed-cache', token: { accessToken: 'token-1' } }])
  t.equal(asked(), 1)
  t.strictSame(memory.namesOf('lease'), [], 'the lease was released')
})

t.test('another key is another token', async t => {
  const { processes: [first, second], options, asked } = fleet(2)

  await first!.obtain(asApp, options())
  await settle()
  await second!.obtain({ ...asApp, key: 'another' }, options())

  t.equal(asked(), 2)
})

t.test('processes that start together ask once', async t => {
  const { processes, options, asked, ask, clock } = fleet(8)
  const outcomes = Promise.all(processes.map(process => process.obtain(asApp, options({ ask: ask(400) }))))

  await pass(clock, 1000)

  const found = await outcomes
  t.equal(asked(), 1)
  t.strictSame([...new Set(found.map(({ token }) => token.accessToken))], ['token-1'])
  t.strictSame(found.map(({ source }) => source).sort(), [...Array<string>(7).fill('distributed-cache'), 'identity-provider'])
  t.equal(clock.timers, 0)
})

t.test('with a store that knows no leases, each asks', async t => {
  const { processes, options, asked, ask, clock } = fleet(3, { given: leaseless })
  const outcomes = Promise.all(processes.map(process => process.obtain(asApp, options({ ask: ask(400) }))))

  await pass(clock, 1000)

  await outcomes
  t.equal(asked(), 3)
})

t.test('a process that dies while it asks holds the others up for the time of its lease only, and one of them goes on', async t => {
  const { processes: [dead, ...others], options, asked, ask, clock } = fleet(4)
  dead!.obtain(asApp, options({ ask: () => new Promise(() => {}) }))
  await settle()
  const outcomes = Promise.all(others.map(process => process.obtain(asApp, options({ ask: ask(100) }))))

  await pass(clock, 1900)
  t.equal(asked(), 0)
  await pass(clock, 600)

  await outcomes
  t.equal(asked(), 1)
})

t.test('who has waited long enough asks without the lease', async t => {
  const { processes: [first], options, asked, memory, clock } = fleet(1)
  memory.setIfAbsent = async () => false
  const outcome = first!.obtain(asApp, options())

  await pass(clock, 2400)
  t.equal(asked(), 0)
  await pass(clock, 200)

  t.match(await outcome, { source: 'identity-provider' })
  t.equal(memory.operations.includes('delete lease'), false)
})

t.test('a token that another process brought between the look and the lease is taken', async t => {
  const { processes: [first], options, asked, memory, clock } = fleet(1)
  const elsewhere = fleet(1)
  await elsewhere.processes[0]!.obtain(asApp, elsewhere.options())
  await settle()
  memory.before = operation => {
    if (operation === 'setIfAbsent lease') for (const [name, entry] of elsewhere.memory.values) memory.values.set(name, entry)
  }

  t.match(await first!.obtain(asApp, options()), { source: 'distributed-cache' })
  await settle()

  t.equal(asked(), 0)
  t.strictSame([memory.namesOf('lease'), clock.timers], [[], 0])
})

t.test('what the identity provider refuses is thrown, and the lease released', async t => {
  const { processes: [first], options, memory } = fleet(1)

  await t.rejects(first!.obtain(asApp, options({ ask: () => Promise.reject(new Error('refused')) })), { message: 'refused' })
  await settle()

  t.strictSame([memory.namesOf('lease'), memory.namesOf('token')], [[], []])
})

t.test('a token is given before it is in the store', async t => {
  const { processes: [first], options, memory, clock } = fleet(1)
  memory.before = operation => operation === 'set token' ? new Promise(() => {}) : undefined

  t.match(await first!.obtain(asApp, options()), { source: 'identity-provider' })
  clock.tick(250)
})

for (const [how, before] of Object.entries<(operation: string) => unknown>({
  down: () => { throw new Error('down') },
  'down for writing': operation => { if (/^set/.test(operation)) throw new Error('READONLY') },
  frozen: () => new Promise(() => {}),
})) {
  t.test(`where the store is ${how}, each process asks for itself, and is hardly held up`, async t => {
    const { processes, options, asked, memory, lines, clock } = fleet(3, {})
    memory.before = before
    const outcomes = Promise.all(processes.map(process => process.obtain(asApp, options())))

    await pass(clock, 250)

    t.match(await outcomes, processes.map(() => ({ source: 'identity-provider' })))
    t.equal(asked(), 3)
    await pass(clock, 250)
    t.equal(lines.length, 3, 'each tells it once')
    t.equal(clock.timers, 0)
  })
}

t.test('a renewal takes a token that another process has renewed', async t => {
  const { processes: [first, second], options, renewal, asked, clock } = fleet(2)
  const due = aToken(clock, 'due', { expiresOn: clock.now() + HOUR / 4 })
  await first!.obtain(asApp, options())
  await settle()

  t.match(await second!.renew(asApp, renewal(due)), { source: 'distributed-cache', token: { accessToken: 'token-1' } })
  t.equal(asked(), 1)
})

t.test('a renewal does not take the token that it is to renew, nor one that will soon be due itself', async t => {
  for (const ahead of [0, 60_000]) {
    const { processes: [first, second], options, renewal, asked, clock } = fleet(2)
    const { token } = await first!.obtain(asApp, options())
    await settle()
    clock.tick(HOUR * 3 / 4)

    t.match(await second!.renew(asApp, renewal(aToken(clock, 'due', { expiresOn: token.expiresOn - ahead }))), { source: 'identity-provider' })
    t.equal(asked(), 2)
  }
})

t.test('where another process is renewing, a renewal does not wait', async t => {
  const { processes: [first, second], renewal, asked, ask, clock } = fleet(2)
  const options = renewal(aToken(clock, 'due', { expiresOn: clock.now() + 60_000 }), { ask: ask(400) })
  const renewed = first!.renew(asApp, options)
  await settle()

  t.equal(await second!.renew(asApp, options), 'theirs')

  await pass(clock, 400)
  await renewed
  t.match(await second!.renew(asApp, options), { source: 'distributed-cache' })
  t.equal(asked(), 1)
})

t.test('a renewal that needs no lease is made where the lease never ends, and brings the others the token', async t => {
  const { processes: [first, second], renewal, asked, memory, clock } = fleet(2)
  memory.setIfAbsent = async () => false
  const due = aToken(clock, 'due', { expiresOn: clock.now() + 60_000 })
  t.equal(await first!.renew(asApp, renewal(due)), 'theirs')

  t.match(await first!.renew(asApp, renewal(due, { needsLease: false })), { source: 'identity-provider' })
  await settle()

  t.match(await second!.renew(asApp, renewal(due)), { source: 'distributed-cache' })
  t.equal(asked(), 1)
  t.notOk(memory.operations.includes('delete lease'))
})

t.test('a token that came when there was a newer one is given, and stays out of the store', async t => {
  const { processes: [first, second], options, memory, clock } = fleet(2)
  let isNewest = true
  const slow = first!.obtain(asApp, options({
    isNewest: () => isNewest,
    ask: async () => {
      await new Promise<void>(resolve => { clock.after(1000, resolve) })
      return aToken(clock, 'older')
    }
  }))
  await settle()

  first!.keep(asApp, aToken(clock, 'newer'))
  isNewest = false
  await pass(clock, 1000)

  t.match(await slow, { token: { accessToken: 'older' }, source: 'identity-provider' })
  t.match(await second!.obtain(asApp, options()), { token: { accessToken: 'newer' } })
  t.strictSame(memory.namesOf('lease'), [])
})

t.test('what is kept for one key is written one after the other, in a slow store too', async t => {
  const { processes: [first, second], options, memory, clock } = fleet(2)
  let delay = 300
  memory.before = operation => operation === 'set token' ? new Promise<void>(resolve => { clock.after(delay -= 100, resolve) }) : undefined

  first!.keep(asApp, aToken(clock, 'older'))
  first!.keep(asApp, aToken(clock, 'newer'))
  first!.keep({ ...asApp, key: 'another' }, aToken(clock))
  await settle()
  t.equal(memory.operations.length, 2, 'other keys do not wait')
  await pass(clock, 300)

  t.match(await second!.obtain(asApp, options()), { token: { accessToken: 'newer' } })
  t.equal(clock.timers, 0)
})

for (const [delay, operations] of [[60, ['get token', 'ttl token', 'setIfAbsent lease', 'get token', 'ttl token']], [100, ['get token', 'ttl token', 'setIfAbsent lease']], [200, ['get token', 'ttl token']]] as const) {
  t.test(`a store that takes ${delay} ms for each operation holds a cold call up for 250 ms at most`, async t => {
    const { processes: [first], options, memory, lines, clock } = fleet(1)
    // A token that has hardly any life left, so that every step is taken.
    const name = entryName('token', 'key')
    memory.values.set(name, { value: cipher.encrypt(toStoredText(aToken(clock, 'ending', { expiresOn: clock.now() + 1000 })), name), end: Infinity })
    memory.before = () => new Promise<void>(resolve => { clock.after(delay, resolve) })
    const start = clock.elapsed()
    let waited = 0
    const outcome = first!.obtain(asApp, options({
      ask: async () => {
        waited = clock.elapsed() - start
        return aToken(clock)
      }
    }))

    await clock.advance(2000)

    t.match(await outcome, { source: 'identity-provider' })
    t.equal(waited, 250)
    t.strictSame(memory.operations.slice(0, operations.length), operations)
    t.strictSame([memory.namesOf('lease'), lines, clock.timers], [[], [], 0], 'a lease that came late is released, and slow is not down')
  })
}

t.test('what was read in time is taken, also where its life could not be told in time', async t => {
  const { processes: [first, second], options, memory, clock } = fleet(2)
  await first!.obtain(asApp, options())
  await settle()
  memory.before = () => new Promise<void>(resolve => { clock.after(200, resolve) })
  const outcome = second!.obtain(asApp, options())
  await clock.advance(250)
  t.match(await outcome, { source: 'distributed-cache' })
  await clock.advance(250)
  t.equal(clock.timers, 0)
})

t.test('a slow store does not make the patience with another process longer', async t => {
  const { processes: [first], options, memory, clock } = fleet(1)
  memory.values.set(entryName('lease', 'key'), { value: '1', end: Infinity })
  memory.before = () => new Promise<void>(resolve => { clock.after(90, resolve) })
  let asked = 0
  const outcome = first!.obtain(asApp, options({
    ask: async () => {
      asked = clock.elapsed()
      return aToken(clock)
    }
  }))
  await clock.advance(3000)
  await outcome
  t.equal(asked, PATIENCE)
})

t.test('a token that was asked for out of turn replaces the one in the store', async t => {
  const { processes: [first, second], options, clock } = fleet(2)
  await first!.obtain(asApp, options())
  await settle()

  first!.keep(asApp, aToken(clock, 'forced'))
  await settle()

  t.match(await second!.obtain(asApp, options()), { token: { accessToken: 'forced' } })
})

t.test('tokens of managed identities stay in the process, unless asked otherwise; those of the system-assigned one always', async t => {
  for (const [sharesManagedIdentities, managedIdentity, isShared, workloadIdentity] of [
    [false, {}, false],
    [false, { userAssignedClientId: 'a' }, false],
    [true, {}, false],
    [true, { userAssignedClientId: undefined }, false],
    [true, { userAssignedClientId: 'a' }, true],
    [true, { userAssignedObjectId: 'a' }, true],
    [true, { userAssignedResourceId: 'a' }, true],
    [false, { userAssignedClientId: 'a' }, false, { tokenFile: '/token' }],
    [true, {}, false, { tokenFile: '/token' }],
    [true, { userAssignedClientId: 'a' }, true, { tokenFile: '/token' }],
  ] as const) {
    const { processes: [first], options, renewal, memory, clock } = fleet(1, { sharesManagedIdentities })

    const outcome = await first!.obtain(asManaged(managedIdentity, workloadIdentity), options())
    first!.keep(asManaged(managedIdentity, workloadIdentity), aToken(clock))
    await settle()

    t.match(outcome, { source: 'identity-provider' })
    t.match(await first!.renew(asManaged(managedIdentity, workloadIdentity), renewal(aToken(clock, 'due'))), { source: 'identity-provider' })
    t.equal(memory.operations.length > 0, isShared, JSON.stringify(managedIdentity))
  }
})

t.test('who is given up stops: while the store is read, while another process asks, and before the identity provider is asked', async t => {
  for (const at of ['get token', 'setIfAbsent lease', 'pause']) {
    const { processes: [first], options, asked, memory, clock } = fleet(1)
    const controller = new AbortController()
    memory.before = operation => { if (operation === at) controller.abort(new Error('given up')) }
    if (at === 'pause') memory.setIfAbsent = async () => false
    const outcome = t.rejects(first!.obtain(asApp, options({ signal: controller.signal })), { message: 'given up' }, at)
    await settle()
    if (at === 'pause') controller.abort(new Error('given up'))

    await outcome
    await settle()
    t.equal(asked(), 0)
    t.strictSame([memory.namesOf('lease'), clock.timers], [[], 0])
  }
})

t.test('close waits for what is on its way to the store', async t => {
  const { processes: [first], options, memory, lines, clock } = fleet(1)
  const ends: (() => void)[] = []
  memory.before = operation => operation === 'set token' || operation === 'delete lease' ? new Promise<void>(resolve => ends.push(resolve)) : undefined
  await first!.obtain(asApp, options())
  await settle()

  let isClosed = false
  const closed = first!.close().then(() => { isClosed = true })
  await settle()
  t.equal(isClosed, false)
  ends.shift()!()
  await settle()
  t.equal(isClosed, false, 'the lease is to be released')
  ends.shift()!()

  await closed
  t.equal(memory.namesOf('token').length, 1)
  t.strictSame([memory.namesOf('lease'), lines, clock.timers], [[], [], 0])
})

t.test('close with nothing under way is done at once, and may be called again', async t => {
  const { processes: [first], clock } = fleet(1)
  await first!.close()
  await first!.close()
  t.equal(clock.timers, 0)
})

t.test('close waits no longer than an operation may take, and from then on the store is left alone', async t => {
  const { processes: [first], options, memory, lines, clock, asked } = fleet(1)
  const controller = new AbortController()
  let answer: (token: Token) => void
  const outcome = first!.obtain(asApp, options({ signal: controller.signal, ask: () => new Promise(resolve => { answer = resolve }) }))
  await settle()

  controller.abort(new Error('closing'))
  const closed = first!.close()
  await pass(clock, 250)
  await closed
  const before = memory.operations.length
  answer!(aToken(clock))

  await outcome
  first!.keep(asApp, aToken(clock))
  await settle()
  t.equal(memory.operations.length, before)
  t.strictSame([lines, asked(), clock.timers], [[], 0, 0])
})
