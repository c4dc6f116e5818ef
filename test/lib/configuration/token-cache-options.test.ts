import t from 'tap'
import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import fastify from 'fastify'
import { parseOptions, type FastifyIdentityWebOptions } from '../../../lib/configuration/schema.ts'
import { TokenAcquirerFactory, type ConfigurationError } from '../../../lib/core.ts'
import identityWeb, { redisTokenStore, type EncryptionKey, type TokenStore } from '../../../plugins/index.ts'

const store: TokenStore = { get: async () => undefined, set: async () => {}, delete: async () => {} }
const key = randomBytes(32)
const keyOf = (key: unknown) => [{ id: 'a', key }]

/** What `ready` says of the options, as users see it. */
async function faultsOf (tokenCache: unknown): Promise<readonly string[]> {
  const app = fastify()
  app.register(identityWeb, { config: {}, tokenCache } as FastifyIdentityWebOptions)
  const error = await app.ready().then(() => undefined, (error: ConfigurationError) => error)
  await app.close()
  t.ok(error === undefined || error.code === 'FST_IDW_CONFIG_INVALID')
  // A key never shows, whole or in part, in any of its spellings.
  for (const text of [key.toString('base64'), key.toString('base64url'), key.toString('hex')]) t.notOk(inspect(error, { depth: 9, showHidden: true }).includes(text.slice(0, 12)))
  return error?.faults ?? []
}

t.test('a store and its keys are taken: bytes, or their text in either base64', async t => {
  const encryptionKeys: EncryptionKey[] = [{ id: '2026-05', key }, { id: 'b_1', key: key.toString('base64') }, { id: 'c', key: key.toString('base64url') }, { id: 'd', key: new Uint8Array(key) }, { id: 'x'.repeat(64), key: key.toString('base64').replace('=', '') }]

  const { tokenCache } = parseOptions({ tokenCache: { store, encryptionKeys, storeManagedIdentities: 'true' } })

  t.equal(tokenCache.store, store)
  t.strictSame(tokenCache.encryptionKeys?.map(({ id }) => id), encryptionKeys.map(({ id }) => id))
  for (const parsed of tokenCache.encryptionKeys!) t.ok(key.equals(parsed.key), parsed.id)
  t.equal(tokenCache.storeManagedIdentities, true)
  t.strictSame(await faultsOf({ store, encryptionKeys }), [])
})

t.test('without a store there are no tokens of managed identities in it, and keys do nothing', async t => {
  t.strictSame(parseOptions({}).tokenCache, { maxEntries: 10_000, storeManagedIdentities: false })
  t.strictSame(await faultsOf({ encryptionKeys: keyOf(key) }), [])
})

t.test('a store needs keys', async t => {
  for (const tokenCache of [{ store }, { store, encryptionKeys: undefined }]) t.strictSame(await faultsOf(tokenCache), ['options.tokenCache: a store needs encryptionKeys: the tokens in it are encrypted'])
  t.strictSame(await faultsOf({ store, encryptionKeys: [] }), ['options.tokenCache.encryptionKeys: expected at least one key'])
})

t.test('keys that are none are refused', async t => {
  const hex = key.toString('hex')
  for (const value of [key.subarray(1), Buffer.concat([key, key]), hex, key.toString('base64').slice(4), '', '!'.repeat(44), 7, {}, [...key], key.buffer, new Uint16Array(32)]) {
    t.match(await faultsOf({ store, encryptionKeys: keyOf(value) }), [/^options\.tokenCache\.encryptionKeys\[0\]\.key: (expected 32 bytes, or their base64 text|is empty)$/], inspect(value))
  }
  t.strictSame(await faultsOf({ store, encryptionKeys: [{ id: 'a' }] }), ['options.tokenCache.encryptionKeys[0].key: is missing'])
  t.strictSame(await faultsOf({ store, encryptionKeys: [{ id: 'a', kye: key.toString('base64') }] }), ['options.tokenCache.encryptionKeys[0].kye: unknown key, did you mean key?', 'options.tokenCache.encryptionKeys[0].key: is missing'])
  t.match(await faultsOf({ store, encryptionKeys: key.toString('base64') }), [/^options\.tokenCache\.encryptionKeys: expected a list$/])
})

t.test('ids are short words, and each is there once', async t => {
  for (const id of ['a.b', 'a b', 'ä', 'x'.repeat(65), 'a\n', '__proto__.x']) t.match(await faultsOf({ store, encryptionKeys: [{ id, key }] }), ['options.tokenCache.encryptionKeys[0].id: expected at most 64 letters, digits, "_" and "-"'], inspect(id))
  t.strictSame(await faultsOf({ store, encryptionKeys: [{ id: 'a', key }, { id: 'b', key }, { id: 'a', key }] }), ['options.tokenCache.encryptionKeys: two keys have the same id'])
})

t.test('a store that is none is refused, and a client of Redis is one mistake away', async t => {
  const fault = 'options.tokenCache.store: expected a token store: an object with get, set and delete, as redisTokenStore(client) makes one'
  const client = { get () {}, set () {}, del () {}, url: 'sEcReT' }
  for (const value of [7, 'redis://sEcReT@cache.example', {}, { get () {}, set () {} }, client, { ...store, setIfAbsent: true }, { ...store, ttl: 5 }, []]) t.strictSame(await faultsOf({ store: value, encryptionKeys: keyOf(key) }), [fault], inspect(value))
})

t.test('a store may be an object of any class', async t => {
  class Store {
    async get () { return undefined }
    async set () {}
    async delete () {}
    async ttl () { return 1 }
  }
  t.strictSame(await faultsOf({ store: new Store(), encryptionKeys: keyOf(key) }), [])
  t.equal(typeof redisTokenStore, 'function')
})

t.test('a daemon has the same checks', async t => {
  t.throws(() => new TokenAcquirerFactory({ config: {}, tokenCache: { store } }), { code: 'FST_IDW_CONFIG_INVALID', message: /a store needs encryptionKeys/ })
})
