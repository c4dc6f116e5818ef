import t from 'tap'
import type { ServerResponse } from 'node:http'
import { build } from '../fixtures/build.ts'
import { useEnvironment } from '../fixtures/environment.ts'
import { answerJson, startRawServer } from '../fixtures/raw-server.ts'
import { clientId, secret, tenantId } from '../fixtures/todo-api.ts'

type Tap = Parameters<typeof startRawServer>[0]

const scope = 'api://todo/.default'
const failed = 'FST_IDW_TOKEN_ACQUISITION_FAILED'
const flows = { 'a client credential': {}, 'a managed identity': { managedIdentity: {} } }

const unhandled: unknown[] = []
process.on('unhandledRejection', reason => unhandled.push(reason))

/** An application whose identity provider answers when the test lets it. */
async function appThatWaits (t: Tap, options: object = {}) {
  const waiting: ServerResponse[] = []
  const arrivals: (() => void)[] = []
  const entra = await startRawServer(t, (_, response) => {
    waiting.push(response)
    for (const arrived of arrivals.splice(0)) arrived()
  })
  const api = await startRawServer(t, (_, response) => answerJson(response, 200, { done: true }))
  useEnvironment(t, { IDENTITY_ENDPOINT: entra.origin, IDENTITY_HEADER: 'h' })
  const app = await build(t, {
    ...options,
    config: { AzureAd: { Instance: entra.origin, TenantId: tenantId, ClientId: clientId, ClientSecret: secret } },
    downstreamApis: { Api: { baseUrl: api.origin, scopes: scope } },
  })
  return {
    app,
    entra,
    api,
    /** When `count` requests have come in all. */
    asked: async (count = 1) => { while (entra.requests.length < count) await new Promise<void>(resolve => { arrivals.push(resolve) }) },
    answer: () => { for (const response of waiting.splice(0)) answerJson(response, 200, { access_token: 'a token', token_type: 'Bearer', expires_in: 3599, resource: 'api://todo' }) },
    fail: () => { for (const response of waiting.splice(0)) answerJson(response, 400, { error: 'invalid_client' }) },
  }
}

for (const [flow, acquireTokenOptions] of Object.entries(flows)) {
  t.test(`${flow}: the first of ten callers gives up, and the others get the token of the one request`, async t => {
    const { app, entra, asked, answer } = await appThatWaits(t)
    const leaver = new AbortController()
    const reason = { why: 'a reason of any kind' }

    const left = app.tokenAcquirer.getTokenForApp(scope, { ...acquireTokenOptions, signal: leaver.signal }).then(() => undefined, (reason: unknown) => reason)
    const stayed = Array.from({ length: 9 }, (_, index) => app.tokenAcquirer.getTokenForApp(scope, { ...acquireTokenOptions, ...index % 2 === 0 && { signal: new AbortController().signal } }))
    await asked()
    leaver.abort(reason)

    t.equal(await left, reason, 'before the answer has come')
    answer()
    t.strictSame((await Promise.all(stayed)).map(({ accessToken }) => accessToken), Array.from({ length: 9 }, () => 'a token'))
    t.equal(entra.requests.length, 1)
  })

  t.test(`${flow}: what all have given up comes to its end, and is there for the next`, async t => {
    const { app, entra, asked, answer } = await appThatWaits(t)
    const leaver = new AbortController()
    const calls = Array.from({ length: 3 }, () => app.tokenAcquirer.getTokenForApp(scope, { ...acquireTokenOptions, signal: leaver.signal }))
    const outcomes = Promise.allSettled(calls)
    await asked()
    leaver.abort(new Error('gone'))
    t.match(await outcomes, [{ reason: { message: 'gone' } }, { reason: { message: 'gone' } }, { reason: { message: 'gone' } }])

    const next = app.tokenAcquirer.getTokenForApp(scope, acquireTokenOptions)
    answer()

    t.equal((await next).accessToken, 'a token')
    t.equal(entra.requests.length, 1)
  })

  t.test(`${flow}: what all have given up fails without a word`, async t => {
    const { app, asked, answer, fail } = await appThatWaits(t)
    const leaver = new AbortController()
    const call = t.rejects(app.tokenAcquirer.getTokenForApp(scope, { ...acquireTokenOptions, signal: leaver.signal }), { message: 'gone' })
    await asked()
    leaver.abort(new Error('gone'))
    await call
    fail()

    const next = app.tokenAcquirer.getTokenForApp(scope, { ...acquireTokenOptions, forceRefresh: true })
    await asked(2)
    answer()
    t.equal((await next).accessToken, 'a token')
  })

  t.test(`${flow}: who has given up before asks nobody`, async t => {
    const { app, entra } = await appThatWaits(t)
    const signal = AbortSignal.abort(new Error('gone'))

    await t.rejects(app.tokenAcquirer.getTokenForApp(scope, { ...acquireTokenOptions, signal }), { message: 'gone' })
    await t.rejects(app.authorizationHeaderProvider.createAuthorizationHeaderForApp(scope, { acquireTokenOptions: { ...acquireTokenOptions, signal } }), { message: 'gone' })
    await t.rejects(app.downstreamApi.getForApp('Api', { acquireTokenOptions, signal }), { message: 'gone' })

    t.strictSame(entra.requests, [])
  })

  t.test(`${flow}: a downstream call that ends while its token is acquired does not reach the API, and leaves the token to others`, async t => {
    const { app, entra, api, asked, answer } = await appThatWaits(t)
    const leaver = new AbortController()
    const byCall = t.rejects(app.downstreamApi.getForApp('Api', { acquireTokenOptions, signal: leaver.signal }), { message: 'gone' })
    const byTokenOptions = t.rejects(app.downstreamApi.getForApp('Api', { acquireTokenOptions: { ...acquireTokenOptions, signal: leaver.signal } }), { message: 'gone' })
    const byTimeout = t.rejects(app.downstreamApi.getForApp('Api', { acquireTokenOptions, timeout: 20 }), { code: 'FST_IDW_DOWNSTREAM_TIMEOUT' })
    const stayed = app.downstreamApi.getForApp('Api', { acquireTokenOptions })
    await asked()

    leaver.abort(new Error('gone'))

    await Promise.all([byCall, byTokenOptions, byTimeout])
    t.strictSame(api.requests, [])
    answer()
    t.strictSame(await stayed, { done: true })
    t.equal(entra.requests.length, 1)
  })

  t.test(`${flow}: close ends what is under way for all, and nothing is asked afterwards`, async t => {
    const { app, entra, api, asked } = await appThatWaits(t)
    const closing = { code: failed, message: /the application is closing/, retryable: false }
    const outcomes = [
      t.rejects(app.tokenAcquirer.getTokenForApp(scope, acquireTokenOptions), closing as never),
      t.rejects(app.tokenAcquirer.getTokenForApp(scope, { ...acquireTokenOptions, forceRefresh: true }), closing as never),
      t.rejects(app.authorizationHeaderProvider.createAuthorizationHeaderForApp(scope, { acquireTokenOptions }), closing as never),
      t.rejects(app.downstreamApi.getForApp('Api', { acquireTokenOptions }), closing as never),
    ]
    // One whose caller is gone as well.
    const leaver = new AbortController()
    outcomes.push(t.rejects(app.tokenAcquirer.getTokenForApp('api://other/.default', { ...acquireTokenOptions, signal: leaver.signal }), { message: 'gone' }))
    await asked(3)
    leaver.abort(new Error('gone'))

    await app.close()

    await Promise.all(outcomes)
    const count = entra.requests.length
    await t.rejects(app.tokenAcquirer.getTokenForApp(scope, acquireTokenOptions), closing as never)
    t.equal(entra.requests.length, count)
    t.strictSame(api.requests, [])
  })

  t.test(`${flow}: the deadline ends the request too`, async t => {
    const { app, entra, asked, answer } = await appThatWaits(t, { tokenTimeout: 30 })
    const callers = Array.from({ length: 3 }, () => t.rejects(app.tokenAcquirer.getTokenForApp(scope, acquireTokenOptions), { code: failed, message: /within 30 ms/, statusCode: 503 } as never))
    await asked()
    await Promise.all(callers)

    const next = app.tokenAcquirer.getTokenForApp(scope, { ...acquireTokenOptions, forceRefresh: true })
    await asked(2)
    answer()
    t.equal((await next).accessToken, 'a token')
    t.equal(entra.requests.length, 2)
  })
}

t.test('no rejection was left unhandled', async t => {
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(unhandled, [])
})
