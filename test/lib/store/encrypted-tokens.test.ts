import t from 'tap'
import { Budget } from '../../../lib/store/budget.ts'
import { EncryptedTokens } from '../../../lib/store/encrypted-tokens.ts'
import { FailOpenStore } from '../../../lib/store/fail-open-store.ts'
import { toStoredText } from '../../../lib/store/stored-token.ts'
import { TokenCipher } from '../../../lib/store/token-cipher.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'
import { MemoryStore, aToken, cipher, memoryLogger } from '../../fixtures/token-store.ts'

const HOUR = 3_600_000
const otherCipher = new TokenCipher([{ id: 'k2', key: Buffer.alloc(32, 2) }])
const UNREADABLE = 'an entry of the token store cannot be read, and is passed over: it was changed, or written with a key that is not among encryptionKeys'

/** A machine that shares a store with others, whose time is `storeClock`'s. */
function machine (memory: MemoryStore, clock: FakeClock, { with: its = cipher, hasTtl = true } = {}) {
  const { logger, lines } = memoryLogger()
  const given = hasTtl ? memory : { get: memory.get.bind(memory), set: memory.set.bind(memory), delete: memory.delete.bind(memory) }
  const tokens = new EncryptedTokens({ store: new FailOpenStore(given, { clock, logger }), cipher: its, clock, logger })
  return { clock, lines, tokens: { write: tokens.write.bind(tokens), read: (key: string) => tokens.read(key, new Budget(clock, 250)) } }
}

function build (options?: Parameters<typeof machine>[2]) {
  const clock = new FakeClock()
  const memory = new MemoryStore(clock)
  return { memory, ...machine(memory, clock, options) }
}

t.test('a token that was written is read under its key, and under no other', async t => {
  const { tokens, clock, lines } = build()
  const token = aToken(clock)

  await tokens.write('key', token)

  t.strictSame({ ...await tokens.read('key') }, { ...token })
  t.equal((await tokens.read('key'))?.accessToken, token.accessToken)
  t.equal(await tokens.read('another key'), undefined)
  t.strictSame(lines, [])
})

t.test('nothing in the store can be read: neither the key nor anything of the token', async t => {
  const { tokens, memory, clock } = build()
  const token = aToken(clock)

  await tokens.write('user and tenant', token)

  const [name, { value }] = [...memory.values][0]!
  t.match(name, /^fastify-identity-web:v1:token:[\w-]{43}$/)
  t.match(value, /^k1\.[\w-]+$/)
  const text = name + value + Buffer.from(value.slice(3), 'base64url').toString('latin1')
  for (const part of ['user', 'tenant', 'contoso', 'Bearer', 'eyJ', token.accessToken, 'expiresOn']) t.notOk(text.includes(part), part)
})

t.test('it stays for what is left of its life, in whole milliseconds', async t => {
  const { tokens, memory, clock } = build()

  await tokens.write('key', aToken(clock, 'x', { expiresOn: clock.now() + 60_000.9 }))

  t.equal([...memory.values.values()][0]!.end, 60_000)
  t.ok(await tokens.read('key'))
  clock.tick(60_000)
  t.equal(await tokens.read('key'), undefined)
})

t.test('a token that soon ends, or has ended, is neither written nor read', async t => {
  const { tokens, memory, clock } = build()
  for (const life of [10_000, 1, 0, -HOUR, -Infinity, NaN]) await tokens.write('key', aToken(clock, 'x', { expiresOn: clock.now() + life }))
  t.equal(memory.values.size, 0)

  await tokens.write('key', aToken(clock, 'x', { expiresOn: clock.now() + 20_000 }))
  clock.tick(9_999)
  t.ok(await tokens.read('key'))
  clock.tick(1)
  t.equal(await tokens.read('key'), undefined)
})

for (const [name, skew] of [['behind', -HOUR / 2], ['ahead', HOUR / 4]] as const) {
  t.test(`a token never outlives itself on a machine whose clock is ${name}`, async t => {
    const clock = new FakeClock()
    const memory = new MemoryStore(clock)
    const writer = machine(memory, clock)
    await writer.tokens.write('key', aToken(clock, 'x', { refreshOn: clock.now() + HOUR / 2 }))
    clock.tick(HOUR / 6)
    const end = clock.now() + HOUR * 5 / 6
    const readerClock = new FakeClock(clock.now() + skew)

    const token = await machine(memory, readerClock).tokens.read('key')

    const life = token!.expiresOn - readerClock.now()
    t.ok(life > 10_000 && life <= end - clock.now(), `${life} ms`)
    // Behind, all that it has left; ahead, it is taken to end earlier, which harms nobody.
    if (skew < 0) t.equal(life, end - clock.now())
    t.equal(token!.refreshOn! - token!.expiresOn, -HOUR / 2)
  })
}

t.test('a life in the store that is longer than the token\'s does not make it live longer', async t => {
  const { tokens, memory, clock } = build()
  const token = aToken(clock)
  await tokens.write('key', token)
  for (const entry of memory.values.values()) entry.end = Infinity

  t.equal((await tokens.read('key'))?.expiresOn, token.expiresOn)
})

t.test('a store that cannot tell how long values stay will do', async t => {
  const { tokens, clock } = build({ hasTtl: false })
  const token = aToken(clock)
  await tokens.write('key', token)

  t.equal((await tokens.read('key'))?.expiresOn, token.expiresOn)
})

t.test('entries that cannot be read are passed over, and told once', async t => {
  const { tokens, memory, clock, lines } = build()
  await tokens.write('key', aToken(clock))
  const [name, { value }] = [...memory.values][0]!
  const put = (value: unknown) => memory.values.set(name, { value: value as string, end: Infinity })

  const sealed = (text: string) => cipher.encrypt(text, name)
  for (const garbled of ['', 'x', value.slice(0, -8), `${value}AAAA`, cipher.encrypt('{}', 'another name'), otherCipher.encrypt('{}', name), 7, {}, [], true, Buffer.from(value), sealed('not JSON'), sealed('null'), sealed('{"__proto__":{"accessToken":"x"}}'), sealed('[]')]) {
    put(garbled)
    t.equal(await tokens.read('key'), undefined)
  }

  t.strictSame(lines, [['warn', UNREADABLE]])
  await tokens.write('key', aToken(clock))
  t.ok(await tokens.read('key'), 'the next token is written over them')
})

t.test('an entry of more than 64 KiB is passed over before anything is done with it', async t => {
  const decrypted: number[] = []
  const counting = Object.assign(new TokenCipher([{ id: 'k1', key: Buffer.alloc(32, 1) }]), {
    decrypt (value: string, name: string) {
      decrypted.push(value.length)
      return cipher.decrypt(value, name)
    },
  })
  const { tokens, memory, clock, lines } = build({ with: counting })
  await tokens.write('key', aToken(clock, 'x'.repeat(48_000)))
  const [name, entry] = [...memory.values][0]!
  t.equal((await tokens.read('key'))?.accessToken.length, 48_000)

  for (const value of ['x'.repeat(65_537), 'x'.repeat(200_000_000), cipher.encrypt(toStoredText(aToken(clock, 'x'.repeat(50_000))), name)]) {
    memory.values.set(name, { ...entry, value })
    t.equal(await tokens.read('key'), undefined)
  }

  t.strictSame([decrypted, lines], [[entry.value.length], [['warn', UNREADABLE]]])
})

t.test('a token that nobody would read is not written', async t => {
  const { tokens, memory, clock } = build()
  await tokens.write('key', aToken(clock, 'x'.repeat(50_000)))
  t.equal(memory.values.size, 0)
})

t.test('entries that cannot be read are told again once there were none for a minute', async t => {
  const { tokens, memory, clock, lines } = build()
  await tokens.write('key', aToken(clock))
  for (const entry of memory.values.values()) Object.assign(entry, { value: 'garbled', end: Infinity })

  for (const quiet of [0, 59_999, 59_999, 60_000]) {
    clock.tick(quiet)
    await tokens.read('key')
  }

  t.strictSame(lines, [['warn', UNREADABLE], ['warn', UNREADABLE]])
})

t.test('keys rotate: what was written with the second is read, the first writes', async t => {
  const [old, next] = [{ id: 'old', key: Buffer.alloc(32, 1) }, { id: 'next', key: Buffer.alloc(32, 2) }]
  const clock = new FakeClock()
  const memory = new MemoryStore(clock)
  const [before, during, after] = [[old], [next, old], [next]].map(keys => machine(memory, clock, { with: new TokenCipher(keys) }))

  await before!.tokens.write('key', aToken(clock))
  t.ok(await during!.tokens.read('key'))
  t.equal(await after!.tokens.read('key'), undefined)
  await during!.tokens.write('key', aToken(clock))
  t.ok(await after!.tokens.read('key'))
  t.equal(await before!.tokens.read('key'), undefined)
})

t.test('a store that fails has no token', async t => {
  const { tokens, memory, clock } = build()
  await tokens.write('key', aToken(clock))

  memory.before = operation => { if (operation.startsWith('ttl')) throw new Error('down') }
  t.ok(await tokens.read('key'), 'the token itself was found')
  memory.before = () => { throw new Error('down') }
  t.equal(await tokens.read('key'), undefined)
  await tokens.write('key', aToken(clock))
})
