import t from 'tap'
import { Budget } from '../../../lib/store/budget.ts'
import { FailOpenStore } from '../../../lib/store/fail-open-store.ts'
import { takeLease } from '../../../lib/store/lease.ts'
import type { TokenStore } from '../../../lib/store/token-store.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'
import { MemoryStore, memoryLogger } from '../../fixtures/token-store.ts'

function build (given?: TokenStore) {
  const clock = new FakeClock()
  const memory = new MemoryStore(clock)
  const store = new FailOpenStore(given ?? memory, { clock, logger: memoryLogger().logger })
  return { clock, memory, take: () => takeLease(store, clock, 'key', new Budget(clock, 250)) }
}

t.test('one holds the lease until it is released', async t => {
  const { memory, take } = build()
  const [ours, theirs] = [await take(), await take()]

  t.strictSame([ours.holder, theirs.holder], ['us', 'another'])
  t.match([...memory.values.keys()], [/^fastify-identity-web:v1:lease:[\w-]{43}$/])

  await theirs.release()
  t.equal((await take()).holder, 'another', 'who does not hold it cannot release it')
  await ours.release()
  t.equal((await take()).holder, 'us')
})

t.test('the lease of one who died ends by itself', async t => {
  const { clock, take } = build()
  await take()

  clock.tick(1999)
  t.equal((await take()).holder, 'another')
  clock.tick(1)
  t.equal((await take()).holder, 'us')
})

t.test('who was slow does not release the lease of the next', async t => {
  const { clock, take } = build()
  const slow = await take()
  clock.tick(2000)
  const next = await take()
  t.equal(next.holder, 'us')

  await slow.release()

  t.equal((await take()).holder, 'another')
})

t.test('nobody can tell where the store fails, or knows no leases', async t => {
  for (const store of [{ get: async () => null, set: async () => {}, delete: async () => {} }, { setIfAbsent: async () => { throw new Error('down') } } as never]) {
    const lease = await build(store).take()
    t.equal(lease.holder, 'unknown')
    await lease.release()
  }
})
