import t from 'tap'
import { fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { asJavaScript } from '../fixtures/as-javascript.ts'
import { startWorld, type World } from '../fixtures/build.ts'
import { startRedis, withoutRedis } from '../fixtures/redis-server.ts'
import { apiClientId, appSettings, scope } from '../fixtures/todo-api.ts'

t.setTimeout(120_000)

const SIZE = 8
const member = asJavaScript(fileURLToPath(new URL('../fixtures/processes/fleet-member.ts', import.meta.url)))

interface Outcome { readonly sources: string[], readonly tokens: string[], readonly milliseconds: number }

/** As many processes as a small fleet has, which ask for their tokens at the same moment. */
async function startFleet (t: { teardown (work: () => unknown): unknown }, { entra, todoApi }: World, scopes: string[], redisUrl?: string): Promise<Outcome[]> {
  // Longer than any of them thinks while the others start.
  entra.fail({ delay: 300, times: Infinity })
  const input = JSON.stringify({ config: appSettings(entra, todoApi.baseUrl), scopes, redisUrl, encryptionKey: randomBytes(32).toString('base64') })
  // What the built package does in these processes is no coverage of its sources.
  const env = { PATH: process.env['PATH'], SystemRoot: process.env['SystemRoot'], TEST_INPUT: input, _TAPJS_PROCESSINFO_COVERAGE_: '0' }
  const start = async () => {
    const child = fork(member, { execArgv: [], env })
    t.teardown(() => child.kill('SIGKILL'))
    await messageOf(child)
    return child
  }
  const children = await Promise.all(Array.from({ length: SIZE }, start))
  const outcomes = children.map(async child => {
    const [outcome] = await Promise.all([messageOf(child) as Promise<Outcome>, once(child, 'exit')])
    return outcome
  })
  for (const child of children) child.send('go')
  return Promise.all(outcomes)
}

async function messageOf (child: ChildProcess): Promise<unknown> {
  const ended = once(child, 'exit').then(([code]) => { throw new Error(`a process of the fleet ended with ${code}`) })
  ended.catch(() => {})
  return Promise.race([once(child, 'message').then(([message]) => message as unknown), ended])
}

t.test(`${SIZE} processes that start together make close to one token request per key`, { skip: withoutRedis }, async t => {
  const world = await startWorld(t)
  const { url } = await startRedis(t)
  const scopes = [scope, `${apiClientId}/.default`]

  const outcomes = await startFleet(t, world, scopes, url)

  const requests = scopes.map(scope => world.entra.tokenRequests.filter(({ body }) => body['scope']?.split(' ').includes(scope)).length)
  t.comment(`token requests per key: ${requests.join(', ')}; the slowest process had its tokens after ${Math.max(...outcomes.map(({ milliseconds }) => Math.round(milliseconds)))} ms`)
  for (const count of requests) t.ok(count >= 1 && count <= 2, `${count} requests`)
  const sources = outcomes.flatMap(({ sources }) => sources)
  t.ok(sources.filter(source => source === 'distributed-cache').length >= (SIZE - 2) * scopes.length)
})

t.test(`without a store, ${SIZE} processes make ${SIZE} token requests`, async t => {
  const world = await startWorld(t)

  const outcomes = await startFleet(t, world, [scope])

  t.equal(world.entra.tokenRequests.length, SIZE)
  t.equal(new Set(outcomes.map(({ tokens }) => tokens[0])).size, SIZE)
})
