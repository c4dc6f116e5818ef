import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { asJavaScript } from '../fixtures/as-javascript.ts'
import { bearer, buildOrders, startOrdersWorld, type OrdersWorld } from '../fixtures/orders-api.ts'
import { startRedis, withoutRedis } from '../fixtures/redis-server.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { tenantId } from '../fixtures/todo-api.ts'
import { otherTenantId } from '../fixtures/users.ts'

t.setTimeout(180_000)

const USERS = 500
const tenants = [tenantId, otherTenantId]
const member = asJavaScript(fileURLToPath(new URL('../fixtures/processes/users-member.ts', import.meta.url)))

interface User { readonly objectId: string, readonly tenantId: string, readonly token: string }

/** Every second user is of the other tenant; ids are the same in both tenants, as nothing keeps them from being. */
function signIn ({ entra }: OrdersWorld, count: number): Promise<User[]> {
  return Promise.all(Array.from({ length: count }, async (_, index) => {
    const [objectId, tenantId] = [`aaaaaaaa-0000-4000-8000-${String(index >> 1).padStart(12, '0')}`, tenants[index % 2]!]
    return { objectId, tenantId, token: await entra.issueUserToken({ objectId, tenantId }) }
  }))
}

/** What may come of a call in this weather, other than the answer for its own user. */
function isFair (error: { name?: string, code?: string, statusCode?: number }): boolean {
  return error.name === 'AbortError' || (error.code === 'FST_IDW_TOKEN_ACQUISITION_FAILED' && error.statusCode === 503)
}

t.test(`${USERS} interleaved users of two tenants, with random faults and aborts: nobody gets another's answer`, async t => {
  const world = await startOrdersWorld(t)
  const app = await buildOrders(t, world, () => {}, { inbound: { tenants } })
  const users = await signIn(world, USERS)
  const random = seededRandom(20_261_125)
  const faults = [{ status: 503 }, { status: 429, retryAfter: 1 }, { body: '<html>' }, { reset: true }, { delay: 20 }, { status: 400, error: 'invalid_grant' }] as const
  const outcomes = { own: 0, other: 0, failed: 0, challenged: 0, unfair: [] as unknown[] }

  const calls = Array.from({ length: USERS * 4 }, () => users[Math.floor(random() * USERS)]!)
  const clients = Array.from({ length: 50 }, async () => {
    for (let user = calls.pop(); user !== undefined; user = calls.pop()) {
      if (random() < 0.1) world.entra.fail({ endpoint: 'token', ...faults[Math.floor(random() * faults.length)]! })
      const controller = new AbortController()
      const isAborted = random() < 0.2
      const call = random() < 0.5
        ? app.inject({ url: '/mine', headers: bearer(user.token) }).then(response => response.statusCode === 200 ? response.json<Record<string, unknown>>() : Promise.reject(response.json()))
        : app.downstreamApi.getForUser<Record<string, unknown>>('Orders', isAborted ? { signal: controller.signal } : undefined, user.token)
      if (isAborted) setImmediate(() => controller.abort())
      try {
        const who = await call
        outcomes[who?.['oid'] === user.objectId && who['tid'] === user.tenantId ? 'own' : 'other']++
      } catch (error) {
        if ((error as { code?: string }).code === 'FST_IDW_CHALLENGE_USER') outcomes.challenged++
        else if (isFair(error as Error)) outcomes.failed++
        else outcomes.unfair.push(error)
      }
    }
  })
  await Promise.all(clients)

  t.comment(`${outcomes.own} own answers, ${outcomes.failed} failed and ${outcomes.challenged} challenged calls, ${world.entra.tokenRequests.length} exchanges`)
  t.equal(outcomes.other, 0)
  t.strictSame(outcomes.unfair, [])
  t.ok(outcomes.own > USERS * 2)
  t.strictSame(world.ordersApi.callers.filter(({ oid, tid }) => !users.some(user => user.objectId === oid && user.tenantId === tid)), [])
})

t.test('the same with a shared store and two processes', { skip: withoutRedis }, async t => {
  const world = await startOrdersWorld(t)
  const { url } = await startRedis(t)
  const users = await signIn(world, USERS)
  const input = { config: world.config, tenants, redisUrl: url, encryptionKey: Buffer.alloc(32, 3).toString('base64'), users }
  const stop = withFaults(world)

  const results = await Promise.all([1, 2].map(seed => run(t, { ...input, seed }) as Promise<{ own: number, other: number, failed: number, shared: number, unfair: string[] }>))
  stop()

  t.comment(JSON.stringify(results), `${world.entra.tokenRequests.length} exchanges`)
  for (const { own, other, unfair } of results) {
    t.equal(other, 0)
    t.strictSame(unfair, [])
    t.ok(own > USERS)
  }
  t.ok(results.some(({ shared }) => shared > 0), 'tokens of one process served the other')
})

/** Every tenth token request fails, until it is stopped. */
function withFaults ({ entra }: OrdersWorld): () => void {
  let count = 0
  return entra.fail({ endpoint: 'token', status: 503, times: Infinity, when: () => ++count % 10 === 0 })
}

async function run (t: { teardown (work: () => unknown): unknown }, input: object): Promise<unknown> {
  const child: ChildProcess = fork(member, { execArgv: [], env: { PATH: process.env['PATH'], _TAPJS_PROCESSINFO_COVERAGE_: '0' } })
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit').then(([code]) => { throw new Error(`a process ended with ${code}`) })
  ended.catch(() => {})
  await Promise.race([once(child, 'message'), ended])
  child.send(input)
  const [result] = await Promise.race([once(child, 'message'), ended]) as unknown[]
  return result
}
