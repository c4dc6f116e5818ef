import t from 'tap'
import { clientOf, ownerOf, type Session } from '../../../lib/sessions/sessions.ts'
import type { TokenStore } from '../../../lib/store/token-store.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'
import { sessions } from '../../fixtures/sessions.ts'
import { cipher, MemoryStore } from '../../fixtures/token-store.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const alice: Session = { owner: 'contoso/alice', client: 'https://login.example/  app', tenantId: 'contoso', refreshToken: 'of alice' }
const bob: Session = { ...alice, owner: 'contoso/bob', refreshToken: 'of bob' }

/** Sessions of two processes over one store, whose operations the test sees. */
function processes () {
  const clock = new FakeClock()
  const store = new MemoryStore(clock)
  const open = () => sessions({ shared: { store, cipher }, clock })
  return { clock, store, ours: open(), theirs: open() }
}

t.test('of two users who begin a session under one key at once, one has it, and the other is told', async t => {
  const clock = new FakeClock()
  const { ours: withStore } = processes()
  for (const [where, kept] of Object.entries({ 'in memory': sessions({ clock }), 'in a store': withStore, 'in a store that cannot tell': sessions({ shared: { store: plainStore(), cipher }, clock }) })) {
    const outcomes = await Promise.allSettled([alice, bob].map(session => kept.keep('job', session, clock.elapsed(), true)))
    t.match(outcomes, [{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 'FST_IDW_FORBIDDEN' } }], where)
    t.match(await kept.find('job'), alice, where)
  }
})

t.test('it is the same in two processes, where the store can tell who was first', async t => {
  const { clock, ours, theirs } = processes()
  const outcomes = await Promise.allSettled([ours.keep('job', alice, clock.elapsed(), true), theirs.keep('job', bob, clock.elapsed(), true)])
  t.match(outcomes, [{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 'FST_IDW_FORBIDDEN' } }])
  for (const kept of [ours, theirs]) t.match(await kept.find('job'), alice)

  const again = await Promise.allSettled([ours, theirs].map(kept => kept.keep('other job', bob, clock.elapsed(), true)))
  t.match(again, [{ status: 'fulfilled' }, { status: 'fulfilled' }], 'one user may begin twice')
})

t.test('a session belongs to the user as the tenant knows them, or else as the app does', async t => {
  t.equal(ownerOf({ tenantId: 'contoso', claims: { oid: 'alice', sub: 'pairwise' } }), 'contoso/alice')
  t.equal(ownerOf({ tenantId: 'contoso', claims: { sub: 'pairwise' } }), 'contoso/pairwise')
})

t.test('what cannot be read is no session, and is replaced', async t => {
  const { clock, store, ours } = processes()
  await ours.keep('job', alice, clock.elapsed(), true)
  const [name = ''] = store.values.keys()
  await store.set(name, 'k2.AAAA', 1_000)

  t.equal(await ours.find('job'), undefined)
  await ours.keep('job', bob, clock.elapsed(), true)
  t.match(await ours.find('job'), bob)
})

t.test('a session that another process has ended is not brought back by what goes on with it', async t => {
  const { clock, store, ours, theirs } = processes()
  await ours.keep('job', alice, clock.elapsed(), true)
  await theirs.end('job')

  await t.rejects(ours.keep('job', alice, clock.elapsed(), false), { code: 'FST_IDW_USER_TOKEN_REQUIRED' })
  t.equal(store.values.size, 0)
})

t.test('a session that is ended while it is kept stays ended', async t => {
  for (const [operation, isNew] of [['get session', true], ['setIfAbsent session', true], ['set session', false]] as const) {
    const { clock, store, ours } = processes()
    if (!isNew) await ours.keep('job', alice, clock.elapsed(), true)
    clock.tick(1)
    let ended: Promise<void> | undefined
    store.before = async told => { if (told === operation) ended ??= ours.end('job') }

    await t.rejects(ours.keep('job', alice, clock.elapsed(), isNew), { code: 'FST_IDW_USER_TOKEN_REQUIRED' }, operation)
    await ended
    store.before = () => {}
    t.equal(await ours.head('job'), undefined, operation)
  }
})

t.test('a session that cannot be kept does not begin, while one that goes on does', async t => {
  const { clock, store, ours } = processes()
  const full = (operation: string) => { if (operation.startsWith('set')) throw new Error('full') }
  store.before = full
  await t.rejects(ours.keep('job', alice, clock.elapsed(), true), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', statusCode: 503, retryable: true })

  store.before = () => {}
  await ours.keep('job', alice, clock.elapsed(), true)
  store.before = full
  await ours.keep('job', { ...alice, refreshToken: 'newer' }, clock.elapsed(), false)
  t.match(await ours.find('job'), alice, 'with the refresh token that the store has')
})

t.test('a refresh token is given to none but the user, the app and the authority that it is of', async t => {
  const clock = new FakeClock()
  const kept = sessions({ clock })
  await kept.keep('job', alice, clock.elapsed(), true)

  t.match(await kept.findOf('job', alice), alice)
  await t.rejects(kept.findOf('job', bob), { code: 'FST_IDW_FORBIDDEN' })
  const app = { instance: 'https://login.example/', policy: undefined, clientId: 'app' }
  t.equal(clientOf(app), alice.client)
  for (const other of [{ clientId: 'other' }, { instance: 'https://login.elsewhere/' }, { policy: 'b2c_1_susi' }]) {
    await t.rejects(kept.findOf('job', { ...alice, client: clientOf({ ...app, ...other }) }), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', retryable: false, message: /another app/ }, JSON.stringify(other))
  }
})

t.test('when the application closes, nothing of sessions is left in the process', async t => {
  const clock = new FakeClock()
  const kept = sessions({ clock })
  await kept.keep('job', alice, clock.elapsed(), true)
  kept.close()
  t.equal(await kept.head('job'), undefined)
})

/** A store that can do nothing but what a store must. */
function plainStore (): TokenStore {
  const values = new Map<string, string>()
  return {
    get: async key => values.get(key),
    set: async (key, value) => values.set(key, value),
    delete: async key => values.delete(key),
  }
}

t.test('a session that another process has ended is known for a minute at most', async t => {
  const { clock, ours, theirs } = processes()
  await theirs.keep('job', alice, clock.elapsed(), true)
  t.match(await ours.head('job'), { owner: alice.owner })

  await theirs.end('job')
  t.equal(await theirs.head('job'), undefined, 'at once where it was ended')
  await clock.advance(MINUTE)
  t.equal(await ours.head('job'), undefined)
})

t.test('a session is in the shared store for 90 days after it was kept last', async t => {
  const { clock, ours, theirs } = processes()
  await ours.keep('job', alice, clock.elapsed(), true)
  await clock.advance(89 * DAY)
  t.match(await theirs.find('job'), alice)
  await theirs.keep('job', alice, clock.elapsed(), false)

  await clock.advance(89 * DAY)
  t.match(await ours.find('job'), alice)
  await clock.advance(DAY)
  t.equal(await ours.find('job'), undefined)
})
