import t from 'tap'
import { Agent } from 'undici'
import { MsalNetworkClient } from '../../../lib/msal/network-client.ts'
import { answerJson, startRawServer } from '../../fixtures/raw-server.ts'

type Body = Record<string, unknown>

async function clientFor (t: Parameters<typeof startRawServer>[0], answer: Parameters<typeof startRawServer>[1], options: Partial<ConstructorParameters<typeof MsalNetworkClient>[0]> = {}) {
  const server = await startRawServer(t, answer)
  const dispatcher = new Agent()
  t.teardown(() => dispatcher.destroy())
  return { server, client: new MsalNetworkClient({ dispatcher, signal: new AbortController().signal, now: Date.now, ...options }) }
}

t.test('a token passes as it came', async t => {
  const token = { access_token: 'a', expires_in: 3599, token_type: 'Bearer' }
  const { client, server } = await clientFor(t, (_, response) => answerJson(response, 200, token))

  const response = await client.sendPostRequestAsync<Body>(`${server.origin}/token`, { body: 'grant_type=client_credentials', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } })

  t.match(response, { status: 200, body: token })
  t.match(server.requests, [{ method: 'POST', body: 'grant_type=client_credentials', headers: { 'content-type': 'application/x-www-form-urlencoded' } }])
})

t.test('whatever is not a token becomes an error that keeps its status', async t => {
  for (const [status, text, error] of [
    [200, '{}', 'no_access_token'], [200, '{"access_token":""}', 'no_access_token'], [200, '{"access_token":1}', 'no_access_token'], [200, '[]', 'non_json_response'],
    [200, 'null', 'non_json_response'], [200, '', 'non_json_response'], [200, '{"access_token":"a', 'non_json_response'],
    [500, '{}', 'http_500'], [503, '<html>busy</html>', 'non_json_response'], [400, '{"error":"invalid_scope"}', 'invalid_scope'], [200, '{"error":"odd"}', 'odd'],
  ] as const) {
    const { client, server } = await clientFor(t, (_, response) => response.writeHead(status).end(text))

    const response = await client.sendGetRequestAsync<Body>(server.origin)

    t.match(response, { status, body: { error } }, `${status} ${text}`)
    t.match(client.evidence, { status, body: { error } })
  }
})

t.test('the end of a managed identity token is understood in every form that endpoints use', async t => {
  const inAnHour = Math.floor(Date.now() / 1000) + 3600
  for (const [fields, expected] of [
    [{ expires_on: String(inAnHour) }, String(inAnHour)],
    [{ expires_on: inAnHour }, inAnHour],
    [{ expires_on: new Date(inAnHour * 1000).toISOString() }, String(inAnHour)],
    [{ expires_on: new Date(inAnHour * 1000).toUTCString() }, String(inAnHour)],
  ] as const) {
    const { client, server } = await clientFor(t, (_, response) => answerJson(response, 200, { access_token: 'a', ...fields }))
    t.match((await client.sendGetRequestAsync<Body>(server.origin)).body, { expires_on: expected })
  }
  const { client, server } = await clientFor(t, (_, response) => answerJson(response, 200, { access_token: 'a', expires_in: '3600' }))
  const { body } = await client.sendGetRequestAsync<Body>(server.origin)
  t.ok(Math.abs(Number(body['expires_on']) - inAnHour) <= 60)
})

t.test('Retry-After is given to MSAL in both spellings that it reads, and kept', async t => {
  const { client, server } = await clientFor(t, (_, response) => answerJson(response, 429, { error: 'busy' }, { 'Retry-After': '7' }))

  const { headers } = await client.sendGetRequestAsync(server.origin)

  t.match(headers, { 'retry-after': '7', 'Retry-After': '7' })
  t.equal(client.evidence.retryAfter, '7')
})

t.test('a redirect is not followed', async t => {
  const { client, server } = await clientFor(t, (_, response) => response.writeHead(307, { location: '/elsewhere' }).end())

  t.match(await client.sendPostRequestAsync(server.origin, { body: 'client_secret=s' }), { status: 307, body: { error: 'non_json_response' } })
  t.equal(server.requests.length, 1)
})

t.test('an answer of more than 1 MiB is refused', async t => {
  const { client, server } = await clientFor(t, (_, response) => response.writeHead(200).end(Buffer.alloc(1024 * 1024 + 1, 32)))

  await t.rejects(client.sendGetRequestAsync(server.origin), { message: /longer than/ })
  t.match(client.evidence.failure, { message: /longer than/ })
})

t.test('the signal ends an exchange that is never answered', async t => {
  const controller = new AbortController()
  const { client, server } = await clientFor(t, () => controller.abort(new Error('deadline')), { signal: controller.signal })

  await t.rejects(client.sendGetRequestAsync(server.origin), { message: 'deadline' })
  t.match(client.evidence.failure, { message: 'deadline' })
})

t.test('extra headers are added, but replace nothing and cannot be reserved ones', async t => {
  const { client, server } = await clientFor(t, (_, response) => answerJson(response, 200, { access_token: 'a' }), { extraHeaders: { 'x-extra': '1', METADATA: 'false', Host: 'evil.example', 'x-own': 'no' } })

  await client.sendGetRequestAsync(server.origin, { headers: { Metadata: 'true', 'X-Own': 'yes' } })

  t.match(server.requests[0]?.headers, { 'x-extra': '1', metadata: 'true', 'x-own': 'yes', host: `127.0.0.1:${server.port}` })
})

t.test('an endpoint that echoes what it was sent in confidence does not get it into an error', async t => {
  for (const status of [400, 200]) {
    const { client, server } = await clientFor(t, ({ body, headers }, response) => answerJson(response, status, { error: 'invalid_request', error_description: `${new URLSearchParams(body).get('client_secret')} ${headers['x-identity-header']} ${headers['secret']}` }))

    const { body } = await client.sendPostRequestAsync<Body>(server.origin, { body: 'client_secret=top+secret', headers: { 'X-IDENTITY-HEADER': 'identity-header-value', secret: 'msi-secret-value' } })

    t.equal(body['error_description'], '[redacted] [redacted] [redacted]')
  }
})
