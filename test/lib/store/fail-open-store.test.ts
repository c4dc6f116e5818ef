import t from 'tap'
import { FailOpenStore } from '../../../lib/store/fail-open-store.ts'
import type { TokenStore } from '../../../lib/store/token-store.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'
import { MemoryStore, memoryLogger, settle } from '../../fixtures/token-store.ts'

const DOWN = 'the token store does not work: tokens are not shared until it does'
const UP = 'the token store works again'
const nothing = undefined as never
const hang = () => new Promise<never>(() => {})

function build (given?: TokenStore) {
  const clock = new FakeClock()
  const memory = new MemoryStore(clock)
  const { logger, lines } = memoryLogger()
  return { clock, memory, lines, store: new FailOpenStore(given ?? memory, { clock, logger }) }
}

t.test('operations of a store that works are passed on, and nothing is logged', async t => {
  const { store, memory, lines, clock } = build()

  await store.set('name', 'value', 1000)

  t.equal(await store.get('name'), 'value')
  t.equal(await store.ttl('name'), 1000)
  t.equal(await store.setIfAbsent('name', 'other', 1000), false)
  await store.delete('name')
  t.equal(await store.get('name'), null)
  t.equal(await store.ttl('name'), undefined)
  t.equal(await store.setIfAbsent('name', 'other', 1000), true)
  t.strictSame(memory.operations, ['set', 'get', 'ttl', 'setIfAbsent', 'delete', 'get', 'ttl', 'setIfAbsent'].map(operation => `${operation} undefined`))
  t.strictSame([lines, clock.timers], [[], 0])
})

t.test('what a store cannot do it is not asked for', async t => {
  const { store } = build({ get: async () => null, set: async () => {}, delete: async () => {} })

  t.equal(await store.setIfAbsent('name', 'value', 1), undefined)
  t.equal(await store.ttl('name'), undefined)
})

t.test('whatever a store gives for an answer is none', async t => {
  for (const junk of [undefined, null, 7, NaN, -1, 'OK', {}, Buffer.from('x'), Symbol('x')]) {
    const answer = () => junk as never
    const { store, lines } = build({ get: answer, set: answer, delete: answer, setIfAbsent: answer, ttl: answer })

    t.ok(Object.is(await store.get('name'), junk))
    t.equal(await store.setIfAbsent('name', 'value', 1), junk === undefined ? undefined : Boolean(junk))
    t.equal(await store.ttl('name'), junk === 7 ? 7 : undefined)
    await store.set('name', 'value', 1)
    await store.delete('name')
    t.strictSame(lines, [])
  }
})

t.test('the methods of a store are called on the store', async t => {
  const store = { get () { return this === store } } as never as TokenStore
  t.equal(await build(store).store.get('name'), true)
})

for (const [how, fail] of Object.entries<() => unknown>({
  rejects: () => Promise.reject(new Error('down')),
  throws: () => { throw new Error('down') },
  'rejects with nothing': () => Promise.reject(nothing),
})) {
  t.test(`a store that ${how} gives nothing, and is told once`, async t => {
    const { store, lines, clock } = build({ get: fail, set: fail, delete: fail, setIfAbsent: fail, ttl: fail } as never)

    t.equal(await store.get('name'), undefined)
    t.equal(await store.setIfAbsent('name', 'value', 1), undefined)
    t.equal(await store.ttl('name'), undefined)
    await store.set('name', 'value', 1)
    await store.delete('name')

    t.strictSame(lines, [['warn', DOWN, { reason: how === 'rejects with nothing' ? 'unknown' : 'down' }]])
    t.equal(clock.timers, 0)
  })
}

t.test('an operation that hangs ends after 250 ms, and what comes of it later does not matter', async t => {
  const { store, memory, lines, clock } = build()
  let fail: (error: Error) => void
  memory.before = () => new Promise((_resolve, reject) => { fail = reject })
  const found = store.get('name')

  clock.tick(249)
  t.equal(await Promise.race([found, settle().then(() => 'under way')]), 'under way')
  clock.tick(1)

  t.equal(await found, undefined)
  t.strictSame(lines, [['warn', DOWN, { reason: 'no answer within 250 ms' }]])
  fail!(new Error('too late'))
  await settle()
  t.equal(lines.length, 1)
})

t.test('a store that failed is left alone, twice as long after every further failure, up to 15 s', async t => {
  const { store, memory, clock } = build()
  memory.before = () => { throw new Error('down') }
  await store.get('name')

  for (const rest of [500, 1000, 2000, 4000, 8000, 15_000, 15_000]) {
    memory.operations.length = 0
    clock.tick(rest - 1)
    await store.get('name')
    t.strictSame(memory.operations, [])
    clock.tick(1)
    await store.get('name')
    t.equal(memory.operations.length, 1)
  }
})

t.test('many operations that fail together are one failure', async t => {
  const { store, memory, lines, clock } = build()
  memory.before = () => { throw new Error('down') }
  await Promise.all(Array.from({ length: 100 }, () => store.get('name')))

  memory.before = () => {}
  clock.tick(500)
  await store.set('name', 'value', 1000)

  t.equal(await store.get('name'), 'value')
  t.strictSame(lines.map(([level, message]) => [level, message]), [['warn', DOWN], ['info', UP]])
})

t.test('after a rest, one operation at a time finds out whether the store works', async t => {
  const { store, memory, clock } = build()
  memory.before = () => { throw new Error('down') }
  await store.get('name')
  memory.before = hang
  memory.operations.length = 0
  clock.tick(500)

  const probe = store.get('name')
  t.equal(await store.get('name'), undefined)
  t.strictSame(memory.operations.length, 1)

  clock.tick(250)
  t.equal(await probe, undefined)
})

t.test('an operation that was under way when the store failed says nothing new when it ends', async t => {
  const { store, memory, lines, clock } = build()
  const ends: { resolve: (value?: unknown) => void, reject: (error: Error) => void }[] = []
  memory.before = () => new Promise((resolve, reject) => ends.push({ resolve, reject }))
  const [first, second, third] = [store.get('a'), store.get('b'), store.get('c')]
  await settle()

  ends[0]!.reject(new Error('down'))
  await first
  ends[1]!.resolve()
  ends[2]!.reject(new Error('down'))
  t.equal(await second, null)
  await third

  t.equal(lines.length, 1)
  memory.operations.length = 0
  clock.tick(499)
  await store.get('name')
  t.strictSame(memory.operations, [])
})

t.test('every outage is told once, and so is its end', async t => {
  const { store, memory, lines, clock } = build()
  for (let outage = 0; outage < 3; outage++) {
    memory.before = () => { throw new Error(`down ${outage}`) }
    for (let tries = 0; tries < 5; tries++) {
      await store.get('name')
      clock.tick(15_000)
    }
    memory.before = () => {}
    for (let tries = 0; tries < 5; tries++) await store.get('name')
  }

  t.strictSame(lines, [0, 1, 2].flatMap(outage => [['warn', DOWN, { reason: `down ${outage}` }], ['info', UP]]))
})

for (const [what, refused] of Object.entries({ 'writing fails': /^set/, 'only the life of values cannot be told': /^ttl/ })) {
  t.test(`where reading works and ${what}, that is one outage, and reading goes on`, async t => {
    const { store, memory, lines, clock } = build()
    const all = async () => {
      await store.set('name', 'value', 1000)
      await store.setIfAbsent('name', 'value', 1000)
      await store.ttl('name')
      await store.delete('name')
    }
    memory.before = operation => { if (refused.test(operation)) throw new Error('OOM') }

    for (let call = 0; call < 100; call++) {
      t.not(await store.get('name'), undefined)
      await all()
      clock.tick(50)
    }
    t.strictSame(lines, [['warn', DOWN, { reason: 'OOM' }]])
    const tried = memory.operations.filter(operation => refused.test(operation)).length
    t.ok(tried <= 10, `${tried} tries`)

    memory.before = () => {}
    clock.tick(15_000)
    await all()
    t.strictSame(lines.slice(1), [['info', UP]])
  })
}

t.test('where only removing fails, tokens are shared: that is no outage, nor does it make one longer', async t => {
  const { store, memory, lines, clock } = build()
  memory.before = operation => { if (/^(delete|set )/.test(operation)) throw new Error('NOPERM') }
  await store.delete('name')
  await store.delete('name')
  t.strictSame([memory.operations, lines], [['delete undefined'], []])

  await store.set('name', 'value', 1000)
  memory.before = () => {}
  clock.tick(500)
  await store.set('name', 'value', 1000)
  t.strictSame(lines, [['warn', DOWN, { reason: 'NOPERM' }], ['info', UP]])
  await store.delete('name')
  t.equal(lines.length, 2)
  t.equal(await store.get('name'), null)
})

t.test('where reading fails, nothing else is tried before reading works again', async t => {
  const { store, memory, lines, clock } = build()
  memory.before = operation => { if (operation.startsWith('get')) throw new Error('NOPERM') }
  await store.get('name')
  clock.tick(500)

  await store.set('name', 'value', 60_000)
  t.strictSame(memory.operations, ['get undefined', 'get undefined'])
  memory.before = () => {}
  clock.tick(1000)
  await store.set('name', 'value', 60_000)

  t.strictSame(memory.operations.slice(2), ['get undefined', 'set undefined'])
  t.match(lines, [['warn', DOWN], ['info', UP]])
})

t.test('a clock that is set makes no outage longer', async t => {
  const { store, memory, clock } = build()
  memory.before = () => { throw new Error('down') }
  await store.get('name')
  clock.setWall(0)
  memory.before = () => {}
  clock.tick(500)

  t.equal(await store.get('name'), null)
})

t.test('once closed, the store is left alone, and what ends later is not told', async t => {
  const { store, memory, lines, clock } = build()
  let fail: (error: Error) => void
  memory.before = () => new Promise((_resolve, reject) => { fail = reject })
  const found = store.get('name')
  await settle()

  store.close()
  fail!(new Error('the client is closed'))

  t.equal(await found, undefined)
  t.equal(await store.get('name'), undefined)
  t.strictSame([memory.operations.length, lines, clock.timers], [1, [], 0])
})

t.test('a probe that succeeds after the store was closed is not told', async t => {
  const { store, memory, lines, clock } = build()
  memory.before = () => { throw new Error('down') }
  await store.get('name')
  let end: (value?: unknown) => void
  memory.before = () => new Promise(resolve => { end = resolve })
  clock.tick(500)
  const found = store.get('name')
  await settle()

  store.close()
  end!()

  t.equal(await found, null)
  t.equal(lines.length, 1)
})
