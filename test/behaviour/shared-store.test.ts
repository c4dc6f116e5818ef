import t from 'tap'
import { createDecipheriv, randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { EncryptionKey } from '../../plugins/index.ts'
import { build, logOf, startWorld, type World } from '../fixtures/build.ts'
import { redisClients } from '../fixtures/redis-clients.ts'
import { redisToBeStarted, startRedis, withoutRedis, type RedisServer } from '../fixtures/redis-server.ts'
import { apiClientId, appSettings, clientId, scope, tenantId, userAssignedClientId } from '../fixtures/todo-api.ts'

const DOWN = /does not work/
const UP = /works again/
const UNREADABLE = /cannot be read/

const key: EncryptionKey = { id: 'k1', key: randomBytes(32) }
const otherKey: EncryptionKey = { id: 'k2', key: randomBytes(32).toString('base64') }

interface Teardown { teardown (work: () => unknown): unknown }
interface SharingOptions { encryptionKeys?: EncryptionKey[], storeManagedIdentities?: boolean }

t.test('a store that processes share', { skip: withoutRedis }, async t => {
  for (const [library, connect] of Object.entries(redisClients)) {
    t.test(library, async t => {
      /** Another process, as far as the store can tell: an application with a client of its own. */
      async function buildSharing (t: Teardown, { entra, todoApi }: World, redis: RedisServer, { encryptionKeys = [key], ...more }: SharingOptions = {}) {
        const { log, lines } = logOf()
        const client = await connect(t, redis.url)
        const app = await build(t, { config: appSettings(entra, todoApi.baseUrl), tokenCache: { store: client.store, encryptionKeys, ...more } }, undefined, log)
        const told = () => lines.map(({ msg }) => String(msg)).filter(message => /token store/.test(message))
        return { app, command: client.command, lines, told }
      }

      /** What is written is in the store soon after the token was given. */
      async function namesIn (command: (...args: string[]) => Promise<unknown>, kind = 'token', count = 1): Promise<string[]> {
        return until(async () => (await command('KEYS', `fastify-identity-web:v1:${kind}:*`)) as string[], names => names.length >= count)
      }

      t.test('the second application finds the token of the first', async t => {
        const world = await startWorld(t)
        const redis = await startRedis(t)
        const [first, second] = [await buildSharing(t, world, redis), await buildSharing(t, world, redis)]

        const one = await first.app.tokenAcquirer.getTokenForApp(scope)
        await namesIn(first.command)
        const other = await second.app.tokenAcquirer.getTokenForApp(scope)
        const again = await second.app.tokenAcquirer.getTokenForApp(scope)

        t.strictSame([one, other, again].map(({ tokenSource }) => tokenSource), ['identity-provider', 'distributed-cache', 'cache'])
        t.strictSame([other.accessToken, other.expiresOn, other.tenantId, other.scopes], [one.accessToken, one.expiresOn, one.tenantId, one.scopes])
        t.equal(world.entra.tokenRequests.length, 1)
        t.strictSame(await second.app.downstreamApi.getForApp('MyWebApi'), [{ id: 1, title: 'write the tests first' }])
        t.strictSame([...first.told(), ...second.told()], [])
      })

      t.test('nothing in Redis can be read, and all of it ends with the token', async t => {
        const world = await startWorld(t, { accessTokenLifetime: 600 })
        const redis = await startRedis(t)
        const { app, command } = await buildSharing(t, world, redis)

        const { accessToken, expiresOn } = await app.tokenAcquirer.getTokenForApp(scope)
        const [name] = await namesIn(command)
        await until(() => command('KEYS', '*'), names => (names as string[]).length === 1)
        const value = await command('GET', name!) as string

        t.match(name, /^fastify-identity-web:v1:token:[\w-]{43}$/)
        t.match(value, /^k1\.[\w-]{200,}$/)
        const text = `${name}\n${value}\n${Buffer.from(value.slice(3), 'base64url').toString('latin1')}`
        for (const part of [...accessToken.split('.'), clientId, apiClientId, tenantId, scope, 'Bearer', 'accessToken']) t.notOk(text.includes(part), part.slice(0, 12))
        const ttl = await command('PTTL', name!) as number
        t.ok(Math.abs(expiresOn!.getTime() - Date.now() - ttl) < 1000, `${ttl} ms`)

        // AES-256-GCM, bound to the name.
        const sealed = Buffer.from(value.slice(3), 'base64url')
        const decipher = createDecipheriv('aes-256-gcm', key.key, sealed.subarray(0, 12)).setAAD(Buffer.from(name!)).setAuthTag(sealed.subarray(-16))
        t.match(JSON.parse(decipher.update(sealed.subarray(12, -16), undefined, 'utf8') + decipher.final('utf8')), { accessToken })
      })

      t.test('Redis that is down at the start is told once, and so is that it came', async t => {
        const world = await startWorld(t)
        const redis = await redisToBeStarted(t)
        const { app, command, told } = await buildSharing(t, world, redis)

        t.equal((await app.tokenAcquirer.getTokenForApp(scope)).tokenSource, 'identity-provider')
        t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), [{ id: 1, title: 'write the tests first' }])
        await until(async () => told(), lines => lines.length > 0)
        await redis.start()
        await until(() => forced(app), () => told().length > 1)

        t.match(told(), [DOWN, UP])
        t.equal((await namesIn(command)).length, 1)
      })

      t.test('Redis that is killed in mid-run fails no call, and is used again when it is back', async t => {
        const world = await startWorld(t)
        const redis = await startRedis(t)
        const { app, command, told, lines } = await buildSharing(t, world, redis)
        await app.tokenAcquirer.getTokenForApp(scope)
        await namesIn(command)

        await redis.kill()
        t.equal((await app.tokenAcquirer.getTokenForApp(scope)).tokenSource, 'cache')
        for (let call = 0; call < 5; call++) t.match((await forced(app)).accessToken, /^eyJ/)
        await until(async () => told(), told => told.length > 0)
        await redis.start()
        await until(() => forced(app), () => told().length > 1)
        await namesIn(command)

        t.match(told(), [DOWN, UP])
        const { accessToken } = await app.tokenAcquirer.getTokenForApp(scope)
        t.notOk(JSON.stringify(lines).includes(accessToken.split('.')[2]!))
      })

      t.test('Redis that is frozen costs a cold call a fraction of a second, and close does not wait for it', async t => {
        const world = await startWorld(t)
        const redis = await startRedis(t)
        const { app, told } = await buildSharing(t, world, redis)
        redis.freeze()

        const start = performance.now()
        t.equal((await app.tokenAcquirer.getTokenForApp(scope)).tokenSource, 'identity-provider')
        t.ok(performance.now() - start < 2000)
        t.match(told(), [DOWN])
        const again = performance.now()
        await forced(app)
        t.ok(performance.now() - again < 1000, 'while it is known to be down it is not asked')

        const closing = performance.now()
        await app.close()
        t.ok(performance.now() - closing < 1000)
        redis.thaw()
      })

      t.test('Redis that refuses to write is told by its reason, without what was to be written', async t => {
        const world = await startWorld(t)
        const redis = await startRedis(t)
        const { app, command, lines, told } = await buildSharing(t, world, redis)
        await command('CONFIG', 'SET', 'maxmemory', '1')

        const { accessToken, tokenSource } = await app.tokenAcquirer.getTokenForApp(scope)
        await until(async () => told(), told => told.length > 0)

        t.equal(tokenSource, 'identity-provider')
        t.match(told(), [DOWN])
        const line = lines.find(({ msg }) => DOWN.test(String(msg)))
        t.match(line, { level: 40, reason: /OOM command not allowed/ })
        t.notMatch(JSON.stringify(lines), /k1\.|v1:token:/)
        t.notOk(JSON.stringify(lines).includes(accessToken.split('.')[2]!))
      })

      t.test('Redis that was flushed has no token, which is no fault', async t => {
        const world = await startWorld(t)
        const redis = await startRedis(t)
        const [first, second] = [await buildSharing(t, world, redis), await buildSharing(t, world, redis)]
        await first.app.tokenAcquirer.getTokenForApp(scope)
        await namesIn(first.command)

        await first.command('FLUSHALL')

        t.equal((await first.app.tokenAcquirer.getTokenForApp(scope)).tokenSource, 'cache')
        t.equal((await second.app.tokenAcquirer.getTokenForApp(scope)).tokenSource, 'identity-provider')
        t.equal((await namesIn(first.command)).length, 1)
        t.strictSame([...first.told(), ...second.told()], [])
      })

      t.test('an entry that was changed is passed over, told once, and written anew', async t => {
        const world = await startWorld(t)
        const redis = await startRedis(t)
        const { app, command } = await buildSharing(t, world, redis)
        await app.tokenAcquirer.getTokenForApp(scope)
        const [name] = await namesIn(command)
        const value = await command('GET', name!) as string

        for (const at of [0, 5, value.length >> 1, value.length - 1]) {
          const changed = value.slice(0, at) + (value[at] === 'A' ? 'B' : 'A') + value.slice(at + 1)
          await command('SET', name!, changed)
          const { app, told } = await buildSharing(t, world, redis)

          t.equal((await app.tokenAcquirer.getTokenForApp(scope)).tokenSource, 'identity-provider')
          t.match(told(), [UNREADABLE])
          await until(() => command('GET', name!), value => value !== changed)
        }
      })

      t.test('entries that were swapped are passed over: no call gets the token of another', async t => {
        const world = await startWorld(t)
        const redis = await startRedis(t)
        const { app, command } = await buildSharing(t, world, redis)
        const scopes = [scope, `${apiClientId}/.default`]
        for (const scope of scopes) await app.tokenAcquirer.getTokenForApp(scope)
        const [one, other] = await namesIn(command, 'token', 2)
        const [first, second] = [await command('GET', one!) as string, await command('GET', other!) as string]

        await command('SET', one!, second)
        await command('SET', other!, first)
        const reader = await buildSharing(t, world, redis)

        for (const scope of scopes) t.equal((await reader.app.tokenAcquirer.getTokenForApp(scope)).tokenSource, 'identity-provider')
        t.match(reader.told(), [UNREADABLE])
      })

      t.test('keys rotate: what was written with the second is read, the first writes, and an unknown one is a miss', async t => {
        const world = await startWorld(t)
        const redis = await startRedis(t)
        const before = await buildSharing(t, world, redis)
        await before.app.tokenAcquirer.getTokenForApp(scope)
        const [name] = await namesIn(before.command)

        const during = await buildSharing(t, world, redis, { encryptionKeys: [otherKey, key] })
        t.equal((await during.app.tokenAcquirer.getTokenForApp(scope)).tokenSource, 'distributed-cache')
        t.match(await before.command('GET', name!), /^k1\./)
        await forced(during.app)
        await until(() => before.command('GET', name!) as Promise<string>, value => value.startsWith('k2.'))

        const after = await buildSharing(t, world, redis, { encryptionKeys: [otherKey] })
        t.equal((await after.app.tokenAcquirer.getTokenForApp(scope)).tokenSource, 'distributed-cache')
        const left = await buildSharing(t, world, redis)
        t.equal((await left.app.tokenAcquirer.getTokenForApp(scope)).tokenSource, 'identity-provider')
        t.match([during.told(), after.told(), left.told()], [[], [], [UNREADABLE]])
      })

      t.test('forceRefresh replaces the token in the store', async t => {
        const world = await startWorld(t)
        const redis = await startRedis(t)
        const first = await buildSharing(t, world, redis)
        await first.app.tokenAcquirer.getTokenForApp(scope)
        const [name] = await namesIn(first.command)
        const before = await first.command('GET', name!)

        const { accessToken } = await forced(first.app)
        await until(() => first.command('GET', name!), value => value !== before)
        const second = await buildSharing(t, world, redis)

        t.match(await second.app.tokenAcquirer.getTokenForApp(scope), { tokenSource: 'distributed-cache', accessToken })
      })

      t.test('tokens of managed identities stay in the process', async t => {
        const world = await startWorld(t)
        const redis = await startRedis(t)
        const { app, command } = await buildSharing(t, world, redis)

        for (const managedIdentity of [{}, { userAssignedClientId }]) await app.tokenAcquirer.getTokenForApp(scope, { managedIdentity })
        await app.tokenAcquirer.getTokenForApp(scope, { managedIdentity: {}, forceRefresh: true })

        await app.close()
        t.strictSame(await command('KEYS', '*'), [])
      })

      t.test('where it is asked for, tokens of user-assigned identities are shared, and those of the system-assigned one are not', async t => {
        const world = await startWorld(t)
        const redis = await startRedis(t)
        const [first, second] = [await buildSharing(t, world, redis, { storeManagedIdentities: true }), await buildSharing(t, world, redis, { storeManagedIdentities: true })]

        const sources = []
        for (const { app, command } of [first, second]) {
          for (const managedIdentity of [{}, { userAssignedClientId }]) sources.push((await app.tokenAcquirer.getTokenForApp(scope, { managedIdentity })).tokenSource)
          await namesIn(command)
        }

        t.strictSame(sources, ['identity-provider', 'identity-provider', 'identity-provider', 'distributed-cache'])
        t.equal((await first.command('KEYS', '*') as string[]).length, 1)
      })
    })
  }
})

function forced (app: FastifyInstance) {
  return app.tokenAcquirer.getTokenForApp(scope, { forceRefresh: true })
}

/** The first outcome of `look` that `isRight`; the test's own time-out ends one that never comes. */
async function until<T> (look: () => Promise<T>, isRight: (outcome: T) => boolean): Promise<T> {
  for (;;) {
    const outcome = await look()
    if (isRight(outcome)) return outcome
    await pause(20)
  }
}
