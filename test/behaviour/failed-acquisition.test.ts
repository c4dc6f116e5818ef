import t from 'tap'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { ServerResponse } from 'node:http'
import { inspect } from 'node:util'
import type { TokenAcquirer } from '../../lib/core.ts'
import type { TokenAcquisitionError } from '../../plugins/index.ts'
import { build } from '../fixtures/build.ts'
import { useEnvironment } from '../fixtures/environment.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { hurriedClock, identityWebOf } from '../fixtures/identity-web.ts'
import { answerJson, startRawServer, type RawRequest, type RawServer } from '../fixtures/raw-server.ts'
import { clientId, secret, tenantId } from '../fixtures/todo-api.ts'
import { retryRules } from '../../lib/tokens/retry-rules.ts'
import type { Clock } from '../../lib/tokens/clock.ts'

type Tap = Parameters<typeof startRawServer>[0]
type Answer = (response: ServerResponse, request: RawRequest) => void

const scope = 'api://todo/.default'
const identityHeader = 'an identity header 8~Q'
const failed = 'FST_IDW_TOKEN_ACQUISITION_FAILED'

/** The two flows, and what each calls a token. */
const flows = {
  'a client credential': { acquireTokenOptions: {}, attempts: retryRules['entra-id'].attempts, token: () => ({ access_token: 'a token', token_type: 'Bearer', expires_in: 3599 }) },
  'a managed identity': { acquireTokenOptions: { managedIdentity: {} }, attempts: retryRules['managed-identity'].attempts, token: () => ({ access_token: 'a token', token_type: 'Bearer', expires_on: String(Math.floor(Date.now() / 1000) + 3599), resource: 'api://todo' }) },
}
type Flow = keyof typeof flows

/** An identity provider that gives the answers of the test, one a request, and then tokens; the pauses between attempts are over at once. */
async function appWith (t: Tap, flow: Flow, answers: Answer[], clock: Clock = hurriedClock): Promise<{ tokenAcquirer: TokenAcquirer, server: RawServer, acquire: () => Promise<{ accessToken: string }> }> {
  const waiting = [...answers]
  const server = await startRawServer(t, (request, response) => {
    const answer = waiting.shift()
    if (answer) answer(response, request)
    else answerJson(response, 200, flows[flow].token())
  })
  const { tokenAcquirer } = appAt(t, server.origin, clock)
  return { tokenAcquirer, server, acquire: () => tokenAcquirer.getTokenForApp(scope, flows[flow].acquireTokenOptions) }
}

function appAt (t: Tap, origin: string, clock: Clock) {
  useEnvironment(t, environmentAt(origin))
  return identityWebOf(t, optionsAt(origin), { clock })
}

function environmentAt (origin: string) {
  return { IDENTITY_ENDPOINT: `${origin}/msi/token`, IDENTITY_HEADER: identityHeader }
}

function optionsAt (origin: string) {
  return { config: { AzureAd: { Instance: origin, TenantId: tenantId, ClientId: clientId, ClientSecret: secret } }, downstreamApis: {} }
}

/** The answer to every attempt of one acquisition. */
function throughout (flow: Flow, answer: Answer): Answer[] {
  return Array.from({ length: flows[flow].attempts }, () => answer)
}

async function failureOf (call: () => Promise<unknown>): Promise<TokenAcquisitionError> {
  return call().then(() => { throw new Error('a token was given') }, (error: unknown) => error as TokenAcquisitionError)
}

const json = (status: number, body: object, headers: Record<string, string> = {}): Answer => response => answerJson(response, status, body, headers)
const html = (status: number): Answer => response => response.writeHead(status, { 'content-type': 'text/html' }).end('<html>Please wait</html>')

const entraError = (error: string, code: number, description = 'It went wrong.') => ({
  error,
  error_description: `AADSTS${code}: ${description} Trace ID: 0f1c Correlation ID: 7d5e`,
  error_codes: [code],
  timestamp: '2026-11-24 12:00:00Z',
  trace_id: '66666666-6666-4666-8666-666666666666',
  correlation_id: '77777777-7777-4777-8777-777777777777',
})

const refused = { statusCode: 500, retryable: false }
const transient = { statusCode: 503, retryable: true }

for (const flow of Object.keys(flows) as Flow[]) {
  const isManaged = flow === 'a managed identity'
  const who = isManaged ? 'the managed identity endpoint of App Service' : 'Entra ID'
  const { acquireTokenOptions, attempts } = flows[flow]

  for (const [name, answer, expected, names, said] of [
    ['400', json(400, { error: 'invalid_request', error_description: 'Identity not found' }), refused, '400 \\(invalid_request\\)', 'Identity not found'],
    ['401', json(401, { error: 'invalid_client' }), refused, '401 \\(invalid_client\\)'],
    ['403', json(403, { error: { code: 'forbidden', message: 'No.' } }), refused, '403 \\(forbidden\\)', 'No\\.'],
    ['404', json(404, { error: 'not_found' }), isManaged ? transient : refused, '404 \\(not_found\\)'],
    ['408', json(408, {}), transient, '408 \\(http_408\\)', 'HTTP 408'],
    ['410', json(410, { error: 'gone' }), isManaged ? transient : refused, '410 \\(gone\\)'],
    ['429', json(429, { error: 'throttled' }), transient, '429 \\(throttled\\)'],
    ['500', json(500, { error: 'server_error' }), transient, '500 \\(server_error\\)'],
    ['500 with an empty object', json(500, {}), transient, '500 \\(http_500\\)', 'HTTP 500'],
    ['503', json(503, { statusCode: 503, message: 'starting' }), transient, '503 \\(http_503\\)', 'starting'],
    ['an error without a name', json(400, { error: {} }), refused, '400'],
    ['400 that is transient by its own word', json(400, { error: 'temporarily_unavailable' }), transient, '400 \\(temporarily_unavailable\\)'],
    ['HTML with 400', html(400), refused, '400 \\(non_json_response\\)'],
    ['HTML with 502', html(502), transient, '502 \\(non_json_response\\)', 'HTTP 502 without a JSON object'],
    ['HTML with 200', html(200), transient, '200 \\(non_json_response\\)', 'HTTP 200 without a JSON object'],
    ['an empty 200', response => response.writeHead(200).end(), transient, '200 \\(non_json_response\\)'],
    ['200 with an empty object', json(200, {}), transient, '200 \\(no_access_token\\)', 'HTTP 200 without an access token'],
    ['200 with an empty token', json(200, { ...flows[flow].token(), access_token: '' }), transient, '200 \\(no_access_token\\)'],
    ['200 with an error', json(200, { error: 'invalid_resource' }), refused, '200 \\(invalid_resource\\)'],
    ['a token that has ended', json(200, { ...flows[flow].token(), expires_on: '1000000000', expires_in: -1 }), transient, '200 \\(no_valid_token\\)', 'HTTP 200 with a token that has ended by the clock of this machine.*'],
    ['a token without an end', json(200, { access_token: 'a token', token_type: 'Bearer' }), transient, '200 \\(no_valid_token\\)'],
    ['a token whose end is no number', json(200, { access_token: 'a token', token_type: 'Bearer', expires_on: 'soon', expires_in: 'soon' }), transient, '200 \\(no_valid_token\\)'],
    ['a token without a life', json(200, { ...flows[flow].token(), expires_on: undefined, expires_in: 0 }), transient, '200 \\(no_valid_token\\)'],
    ['a token of another type', json(200, { ...flows[flow].token(), token_type: 'pop' }), refused, '200 \\(no_bearer_token\\)', 'HTTP 200 with a token of another type than Bearer'],
    ['a reset', response => response.destroy(), transient, undefined],
    ['a body that breaks off', response => { response.writeHead(200, { 'content-length': '99' }); response.write('{', () => response.destroy()) }, transient, undefined],
  ] as [string, Answer, typeof refused, string | undefined, string?][]) {
    t.test(`${flow}: ${name} is ${failed} with ${expected.statusCode}, says what to do, is asked for ${expected.retryable ? 'as often as the rules have it' : 'once'}, and the next call succeeds`, async t => {
      const attempts = expected.retryable ? throughout(flow, answer) : [answer]
      const { acquire, server } = await appWith(t, flow, attempts)

      const error = await failureOf(acquire)

      t.match(error, { name: 'TokenAcquisitionError', code: failed, ...expected, errorCodes: [], cause: Error, correlationId: /^[0-9a-f-]{36}$/ })
      if (names === undefined) t.match(error.message, /could not be reached, or broke off: UND_ERR_SOCKET\. Check the network, then try again/)
      else t.match(error.message, new RegExp(`^No token: ${who} answered ${names}; see the cause for what it said\\. `))
      if (said !== undefined) t.match((error.cause as Error).message, new RegExp(`^${who} said: ${said}$`))
      t.match(error.message, /Correct the configuration here or the registration there: trying again will not help$|Try again later$|then try again$/)
      t.equal((await acquire()).accessToken, 'a token')
      t.equal(server.requests.length, attempts.length + 1)
    })
  }

  t.test(`${flow}: what Entra ID says is kept`, async t => {
    const { acquire } = await appWith(t, flow, [json(401, entraError('invalid_client', 7000222, 'The provided client secret keys for app are expired.'))])

    const error = await failureOf(acquire)

    t.match(error, {
      statusCode: 500,
      errorCodes: [7000222],
      correlationId: '77777777-7777-4777-8777-777777777777',
      traceId: '66666666-6666-4666-8666-666666666666',
      retryAfter: undefined,
      status: 401,
      message: new RegExp(`${who} answered 401 \\(invalid_client, AADSTS7000222\\); see the cause`),
      cause: { message: new RegExp(`^${who} said: AADSTS7000222: The provided client secret keys for app are expired\\. Trace ID: 0f1c`), cause: { name: 'ServerError' } },
    })
    t.notMatch(error.message, new RegExp(`${tenantId}|${clientId}|expired`), 'the message may be answered to anybody')
  })

  t.test(`${flow}: AADSTS numbers that stand in the description only are found`, async t => {
    const { acquire } = await appWith(t, flow, [json(400, { statusCode: 400, message: 'AADSTS500011: The resource was not found. AADSTS500011, AADSTS90002' }), json(400, { error: 'x', error_codes: [50011, 'y'] })])

    t.strictSame((await failureOf(acquire)).errorCodes, [500011, 90002])
    t.strictSame((await failureOf(acquire)).errorCodes, [50011])
  })

  t.test(`${flow}: Retry-After is given in seconds, and does not hold up the next call`, async t => {
    for (const [header, least, most] of [['7', 7, 7], ['0', 0, 0], ['3600', 3600, 3600], [new Date(Date.now() + 60_000).toUTCString(), 50, 60]] as const) {
      for (const status of [400, 429, 503]) {
        const isRepeated = status !== 400 && most < 10
        const answers = Array.from({ length: isRepeated ? attempts : 1 }, () => json(status, { error: 'busy' }, { 'retry-after': header }))
        const { acquire, server } = await appWith(t, flow, answers)

        const { retryAfter } = await failureOf(acquire)

        t.ok(retryAfter !== undefined && retryAfter >= least && retryAfter <= most, `${header} is ${retryAfter}`)
        t.equal((await acquire()).accessToken, 'a token')
        t.equal(server.requests.length, answers.length + 1, 'nothing that outlasts the deadline is waited for')
      }
    }
    const { acquire } = await appWith(t, flow, throughout(flow, json(429, { error: 'busy' }, { 'retry-after': 'soon' })))
    t.equal((await failureOf(acquire)).retryAfter, undefined)
  })

  t.test(`${flow}: one call's failure answers no other call`, async t => {
    const { tokenAcquirer, server, acquire } = await appWith(t, flow, [json(503, { error: 'busy' }, { 'retry-after': '60' })])

    await failureOf(acquire)

    for (const other of [scope, 'api://other/.default']) t.equal((await tokenAcquirer.getTokenForApp(other, acquireTokenOptions)).accessToken, 'a token')
    t.equal(server.requests.length, 3)
  })

  t.test(`${flow}: all who waited for the same acquisition get the one error`, async t => {
    const { acquire, server } = await appWith(t, flow, throughout(flow, json(500, {})))

    const errors = await Promise.all(Array.from({ length: 100 }, () => failureOf(acquire)))

    t.equal(new Set(errors).size, 1)
    t.equal(server.requests.length, attempts)
  })

  t.test(`${flow}: nobody listens`, async t => {
    const { tokenAcquirer } = appAt(t, `http://127.0.0.1:${await freePort()}`, hurriedClock)

    const error = await failureOf(() => tokenAcquirer.getTokenForApp(scope, acquireTokenOptions))

    t.match(error, { code: failed, ...transient, message: /could not be reached, or broke off: ECONNREFUSED/, cause: { code: 'ECONNREFUSED' }, correlationId: /^[0-9a-f-]{36}$/ })
  })

  t.test(`${flow}: who does not answer within tokenTimeout has failed, and the next call succeeds`, async t => {
    for (const silence of [() => {}, response => { response.writeHead(200); response.write('{') }] as Answer[]) {
      const clock = new FakeClock()
      const asked = gate()
      const { acquire, server } = await appWith(t, flow, [(...args) => { asked.open(); silence(...args) }], clock)

      const failure = failureOf(acquire)
      await asked.opened
      await clock.advance(9_999)
      t.equal(await Promise.race([failure, 'still waiting']), 'still waiting')
      await clock.advance(1)

      t.match(await failure, { code: failed, ...transient, status: undefined, message: /did not answer within 10000 ms\. Check .*, or raise tokenTimeout$/ })
      t.equal((await acquire()).accessToken, 'a token')
      t.equal(server.requests.length, 2)
    }
  })

  t.test(`${flow}: a secret that comes back is not in the error`, async t => {
    const sent = isManaged ? identityHeader : secret
    const echo: Answer = (response, { body, headers }) => answerJson(response, 400, { error: `e ${new URLSearchParams(body).get('client_secret')}`, error_description: `${body} ${decodeURIComponent(body)} ${JSON.stringify(headers)}`, trace_id: sent, correlation_id: sent, error_codes: [1] })
    const { acquire } = await appWith(t, flow, [echo])

    const error = await failureOf(acquire)

    const seen = [error, error.cause].flatMap(value => [inspect(value, { depth: 12, showHidden: true, getters: true }), JSON.stringify(value), String(value), (value as Error).stack]).join('\n')
    for (const spelling of [sent, encodeURIComponent(sent), sent.replaceAll(' ', '+')]) t.notOk(seen.includes(spelling))
  })
}

t.test('the status that Fastify answers is that of the error, and the log has its cause', async t => {
  for (const [answer, statusCode] of [[json(401, entraError('invalid_client', 7000215)), 500], [json(503, {}, { 'retry-after': '60' }), 503]] as const) {
    const { origin } = await startRawServer(t, (request, response) => answer(response, request))
    const app = await build(t, optionsAt(origin), app => {
      app.get('/', (request) => request.server.tokenAcquirer.getTokenForApp(scope))
    })
    const response = await app.inject('/')
    t.match([response.statusCode, response.json()], [statusCode, { code: failed, statusCode }])
  }
})

t.test('a correlation id that the call gives is the one that is sent, and the one of the error', async t => {
  const correlationId = '88888888-8888-4888-8888-888888888888'
  const { tokenAcquirer, server } = await appWith(t, 'a client credential', throughout('a client credential', json(500, {})))

  const error = await failureOf(() => tokenAcquirer.getTokenForApp(scope, { correlationId }))

  t.equal(error.correlationId, correlationId)
  t.ok(server.requests.every(request => JSON.stringify(request).includes(correlationId)), 'in every attempt')
})

function gate () {
  let open!: () => void
  const opened = new Promise<void>(resolve => { open = resolve })
  return { opened, open }
}

/** A port on which nobody listens. */
async function freePort (): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}
