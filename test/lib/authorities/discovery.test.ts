import t from 'tap'
import { MockAgent, type Dispatcher } from 'undici'
import type { Authority } from '../../../lib/authorities/authority.ts'
import { AuthorityEndpoints } from '../../../lib/authorities/endpoints.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'
import { loggerOf, type Line } from '../../fixtures/identity-web.ts'

const tenantId = 'contoso.example'
const origin = 'https://login.contoso.example'
const derived = `${origin}/${tenantId}/oauth2/v2.0/token`
const path = `/${tenantId}/v2.0/.well-known/openid-configuration`
const DAY = 24 * 3_600_000
const MINUTE = 60_000

const authority: Authority = { instance: `${origin}/`, tenantId, policy: undefined, clientId: 'app', tokenEndpoint: derived, isDiscovered: true, region: undefined }
const documentOf = (name: string) => ({ issuer: `${origin}/x`, token_endpoint: `${origin}/${name}` })

function endpointsOf (t: { teardown (work: () => unknown): unknown }) {
  const clock = new FakeClock()
  const lines: Line[] = []
  const agent = new MockAgent()
  agent.disableNetConnect()
  t.teardown(() => agent.close())
  const endpoints = new AuthorityEndpoints({ clock, logger: loggerOf(lines), dispatcher: async () => agent, platform: async () => agent })
  const next = () => agent.get(origin).intercept({ path, method: 'GET' })
  const { signal } = new AbortController()
  return {
    clock,
    lines,
    endpoints,
    agent,
    next,
    ask: (ends = signal) => endpoints.forApp(authority, ends),
    /** Until what is under way in the background has come; it imports undici first, as this does after it. */
    settle: async () => {
      await import('undici')
      for (let turn = 0; turn < 10; turn++) await new Promise(resolve => setImmediate(resolve))
    },
  }
}

t.test('an authority that is not asked has the endpoint that follows from its URL', async t => {
  const { endpoints } = endpointsOf(t)
  const { signal } = new AbortController()
  t.equal(await endpoints.forApp({ ...authority, isDiscovered: false }, signal), derived)
  t.equal(await endpoints.forUser({ ...authority, isDiscovered: false }, signal), derived)
})

t.test('an authority is asked once by all who come at the same time, and its answer holds for a day', async t => {
  const { clock, next, ask, agent, endpoints } = endpointsOf(t)
  next().reply(200, documentOf('token'))

  t.strictSame(new Set(await Promise.all(Array.from({ length: 100 }, () => ask()))), new Set([`${origin}/token`]))
  await clock.advance(DAY - 1)
  t.equal(await ask(), `${origin}/token`)
  t.equal(await endpoints.forUser(authority, new AbortController().signal), `${origin}/token`)
  agent.assertNoPendingInterceptors()
})

t.test('a document of yesterday is used while it is renewed in the background, and kept where that fails', async t => {
  const { clock, next, ask, settle, lines, agent } = endpointsOf(t)
  next().reply(200, documentOf('one'))
  await ask()
  await clock.advance(DAY)

  next().reply(200, documentOf('two'))
  t.equal(await ask(), `${origin}/one`)
  await settle()
  t.equal(await ask(), `${origin}/two`)
  t.strictSame(lines, [])

  let wait = DAY
  for (const answer of [{ status: 500, body: '' }, { status: 404, body: '' }, { status: 200, body: 'no JSON' }, { status: 200, body: JSON.stringify({ issuer: `${origin}/x`, token_endpoint: 'https://evil.example/' }) }]) {
    await clock.advance(wait)
    next().reply(answer.status, answer.body)
    t.equal(await ask(), `${origin}/two`)
    await settle()
    t.match(lines.splice(0), [{ level: 'warn', message: /could not be renewed/ }])
    await clock.advance(MINUTE - 1)
    t.equal(await ask(), `${origin}/two`, 'not asked again at once')
    wait = 1
  }
  agent.assertNoPendingInterceptors()
})

t.test('an authority without a document has the endpoint that follows from its URL, for a day, and that is logged once', async t => {
  for (const { status, body, headers = {} } of [{ status: 404, body: '' }, { status: 200, body: 'no JSON' }, { status: 200, body: '{"issuer":"x"}' }, { status: 302, body: '', headers: { location: 'https://evil.example/' } }]) {
    const { clock, next, ask, settle, lines, agent } = endpointsOf(t)
    next().reply(status, body, { headers })
    t.equal(await ask(), derived)
    await clock.advance(DAY - 1)
    t.equal(await ask(), derived)
    await clock.advance(1)
    next().reply(404)
    t.equal(await ask(), derived)
    await settle()
    t.match(lines, [{ level: 'debug', fields: { status }, message: /has no OpenID configuration/ }])
    t.equal(lines.length, 1)
    agent.assertNoPendingInterceptors()
  }
})

t.test('an authority that fails has the endpoint that follows from its URL, and is asked again a minute later', async t => {
  const { clock, next, ask, settle, lines, agent } = endpointsOf(t)
  next().reply(503, '')
  t.equal(await ask(), derived)
  for (const passing of [408, 429]) {
    await clock.advance(MINUTE - 1)
    t.equal(await ask(), derived)
    await clock.advance(1)
    next().reply(passing, '')
    t.equal(await ask(), derived)
    await settle()
  }

  await clock.advance(MINUTE)
  next().replyWithError(new Error('reset'))
  t.equal(await ask(), derived, 'nobody waits for it again')
  await settle()

  await clock.advance(MINUTE)
  next().reply(200, documentOf('token'))
  t.equal(await ask(), derived)
  await settle()
  t.equal(await ask(), `${origin}/token`)
  t.match(lines, [{ level: 'debug', message: /could not be fetched/ }])
  t.equal(lines.length, 1)
  agent.assertNoPendingInterceptors()
})

t.test('a document that is too long, or does not come in time, is as if the authority failed', async t => {
  const { next, ask } = endpointsOf(t)
  next().reply(200, JSON.stringify({ ...documentOf('token'), more: 'x'.repeat(200_000) }))
  t.equal(await ask(), derived)

  const silent = endpointsOf(t)
  silent.agent.dispatch = (() => true) as Dispatcher['dispatch']
  const waiting = silent.ask()
  await silent.clock.advance(3_000)
  t.equal(await waiting, derived)
  t.equal(silent.clock.timers, 0)
})

t.test('a document that must not be used fails the acquisition with what is wrong, and is looked at again a minute later', async t => {
  const { clock, next, ask, agent } = endpointsOf(t)
  next().reply(200, { ...documentOf('token'), token_endpoint: 'https://evil.example/token' })
  const refused = { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', retryable: false, status: undefined, message: /must not be used, since its token_endpoint is not on the origin of the authority\. Correct Instance/, cause: { message: `the OpenID configuration is at ${origin}${path}` } }
  const error = await ask().catch((error: unknown) => error)
  t.match(error, refused)
  t.notMatch((error as Error).message, /evil/)
  await t.rejects(ask(), { retryable: false } as never)

  await clock.advance(MINUTE)
  next().reply(200, documentOf('token'))
  t.equal(await ask(), `${origin}/token`)
  agent.assertNoPendingInterceptors()
})

t.test('a caller who gives up ends its own wait only, and closing ends what is under way', async t => {
  const { agent, ask, endpoints, lines } = endpointsOf(t)
  agent.dispatch = (() => true) as Dispatcher['dispatch']
  const controller = new AbortController()
  const impatient = ask(controller.signal)
  const patient = ask()
  controller.abort(new Error('gone'))
  await t.rejects(impatient, { message: 'gone' })

  endpoints.close()
  t.equal(await patient, derived)
  t.strictSame(lines, [])
})
