import t from 'tap'
import { redisTokenStore } from '../../../lib/store/redis-token-store.ts'

/** A client that answers with `reply`, and keeps its commands. */
function aClient (reply: unknown, pttl: 'pttl' | 'pTTL') {
  const commands: unknown[][] = []
  const command = (name: string) => async (...args: unknown[]) => {
    commands.push([name, ...args])
    return reply
  }
  return { commands, client: { get: command('get'), set: command('set'), del: command('del'), [pttl]: command(pttl), ...pttl === 'pttl' && { defineCommand () {} } } as never }
}

t.test('with node-redis, each operation is one command with one key', async t => {
  const { client, commands } = aClient('OK', 'pTTL')
  const store = redisTokenStore(client)

  t.equal(await store.get('key'), 'OK')
  await store.set('key', 'value', 5)
  await store.delete('key')
  t.equal(await store.setIfAbsent!('key', 'value', 5), true)
  await store.ttl!('key')

  t.strictSame(commands, [['get', 'key'], ['set', 'key', 'value', { PX: 5 }], ['del', 'key'], ['set', 'key', 'value', { PX: 5, NX: true }], ['pTTL', 'key']])
})

t.test('with ioredis, each operation is one command with one key', async t => {
  const { client, commands } = aClient('OK', 'pttl')
  const store = redisTokenStore(client)

  t.equal(await store.get('key'), 'OK')
  await store.set('key', 'value', 5)
  await store.delete('key')
  t.equal(await store.setIfAbsent!('key', 'value', 5), true)
  await store.ttl!('key')

  t.strictSame(commands, [['get', 'key'], ['set', 'key', 'value', 'PX', 5], ['del', 'key'], ['set', 'key', 'value', 'PX', 5, 'NX'], ['pttl', 'key']])
})

t.test('a value that is there is not set again', async t => {
  for (const pttl of ['pttl', 'pTTL'] as const) t.equal(await redisTokenStore(aClient(null, pttl).client).setIfAbsent!('key', 'value', 5), false)
})

t.test('the life of a value is a number, also where the client gives text', async t => {
  t.equal(await redisTokenStore(aClient('5', 'pTTL').client).ttl!('key'), 5)
  t.equal(await redisTokenStore(aClient(5, 'pttl').client).ttl!('key'), 5)
})

t.test('a client that cannot tell the life of a value will do', async t => {
  const command = async () => null
  for (const defineCommand of [undefined, command]) t.equal(redisTokenStore({ get: command, set: command, del: command, ...defineCommand && { defineCommand } }).ttl, undefined)
})

t.test('anything but a client is refused, without a value of it in the message', async t => {
  const { get, set, pTTL } = aClient('', 'pTTL').client as Record<string, () => void>
  for (const client of [undefined, null, 7, 'redis://user:sEcReT@cache.example', {}, { get, set }, { get, set, pTTL }, new Map(), { url: 'sEcReT' }]) {
    t.throws(() => redisTokenStore(client as never), { code: 'FST_IDW_CONFIG_INVALID', message: 'The configuration has a fault:\n- redisTokenStore: expected a client of redis (node-redis) or of ioredis' })
  }
})
