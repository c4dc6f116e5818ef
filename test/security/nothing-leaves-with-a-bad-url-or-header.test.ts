import t from 'tap'
import { build } from '../fixtures/build.ts'
import { answerJson, startRawServer } from '../fixtures/raw-server.ts'
import { clientId, secret, tenantId } from '../fixtures/todo-api.ts'

type Tap = Parameters<typeof startRawServer>[0]

/** An application with an API at `base` below its origin; neither it nor Entra ID should be asked. */
async function appWith (t: Tap, base = '/base') {
  const entra = await startRawServer(t, (_, response) => answerJson(response, 200, { access_token: 'a-token', token_type: 'Bearer', expires_in: 3599 }))
  const server = await startRawServer(t, (_, response) => answerJson(response, 200, {}))
  const { downstreamApi } = await build(t, {
    config: { AzureAd: { Instance: entra.origin, TenantId: tenantId, ClientId: clientId, ClientSecret: secret } },
    downstreamApis: { Api: { baseUrl: `${server.origin}${base}`, scopes: ['api://todo/.default'], extraQueryParameters: { 'api-version': '1' } } },
  })
  return { api: downstreamApi, requests: server.requests, tokenRequests: entra.requests, host: new URL(server.origin).host }
}

t.test('a relativePath that would lead elsewhere reaches nobody, and costs no token', async t => {
  const elsewhere = await startRawServer(t, (_, response) => answerJson(response, 200, {}))
  const evil = new URL(elsewhere.origin).host
  const { api, requests, tokenRequests, host } = await appWith(t)
  for (const path of [
    `//${evil}`, `\\\\${evil}`, `/\\${evil}`, `\\/${evil}`, `/\t/${evil}`, `\n//${evil}`, `\r//${evil}`, ` //${evil}`, `\u0000//${evil}`, `http:${evil}`, `http://${evil}`, `HTTP://${evil}`, `http:/${evil}`, `http:\\\\${evil}`, `https://${host}@${evil}`, 'javascript:1', 'data:text/plain,x', 'file:///etc/passwd',
    '../', '../other', './..', 'a/../../other', '%2e%2e/', '%2e%2e/other', '.%2e/other', '%2e./other', '%2E%2E/other', '..%2f', '..%2Fother', '%2e%2e%2fother', '..%5cother', '..\\other', '%252e%252e/other', '..;/other', '..;x=y/other', '.', '..', 'a/.', 'a/./b',
    'a#b', 'a?b#c', '#', 'a b', 'a\r\nb', 'a\u007f', 'a?b\r\nc',
  ]) {
    for (const call of [() => api.getForApp('Api', path), () => api.callApiForApp('Api', { relativePath: path }), () => api.getForApp('Api', options => { options.relativePath = path })]) {
      await t.rejects(call as () => Promise<unknown>, { code: 'FST_IDW_URL_NOT_ALLOWED' }, JSON.stringify(path))
    }
  }
  t.strictSame([requests, tokenRequests, elsewhere.requests], [[], [], []])
})

t.test('host and path are never joined as text', async t => {
  const elsewhere = await startRawServer(t, (_, response) => answerJson(response, 200, {}))
  const evil = new URL(elsewhere.origin).host
  for (const base of ['', '/', '/base', '/base/']) {
    const { api, requests } = await appWith(t, base)
    const paths = [`@${evil}`, `:80@${evil}`, `.${evil}`, `/@${evil}`, `:pw@${evil}/x`]
    for (const path of paths) await api.getForApp('Api', path)
    const inside = `${base.replace(/\/$/, '')}/`
    t.strictSame(requests.map(({ url }) => url), paths.map(path => `${inside}${path.replace(/^\//, '')}?api-version=1`), base)
  }
  t.strictSame(elsewhere.requests, [])
})

t.test('a path parameter stays one segment, a query value one value', async t => {
  const { api, requests } = await appWith(t)
  const values = ['../../admin', 'a/b', 'a?x=1', 'a#b', '%2f', '%2e%2e', '..;/', 'a&b=c', '\r\nx: y', 'é', '\u{1f600}']

  for (const id of values) await api.getForApp('Api', { relativePath: 'users/{id}/items', pathParameters: { id }, query: { id, list: [id, 'x'] } })

  t.strictSame(requests.map(({ url }) => {
    const { pathname, searchParams } = new URL(url, 'http://api.example')
    const [root, base, users, id, items, ...more] = pathname.split('/')
    return [root, base, users, decodeURIComponent(id!), items, more, [...searchParams]]
  }), values.map(id => ['', 'base', 'users', id, 'items', [], [['api-version', '1'], ['id', id], ['list', id], ['list', 'x']]]))
})

t.test('a query that sets a configured key again is refused', async t => {
  const { api, requests, tokenRequests } = await appWith(t)
  await t.rejects(api.getForApp('Api', { query: { 'api-version': '2' } }), { code: 'FST_IDW_CONFIG_INVALID', message: /Api\.query\.api-version/ })
  t.strictSame([requests, tokenRequests], [[], []])
})

t.test('a header whose name or value would be more than one header is refused', async t => {
  const { api, requests, tokenRequests } = await appWith(t)
  const names = ['x a', 'x:a', 'x\r\na', 'x\u0000', '', 'x\u007f', 'ä', '(x)', 'x,y', '"x"']
  const values = ['b\r\nx-c: d', 'b\rc', 'b\nc', 'b\u0000c', 'b\u007fc', 'b\u001fc', 'b\u0100c']
  for (const extraHeaderParameters of [...names.map(name => ({ [name]: 'b' })), ...values.map(value => ({ 'x-a': value })), { 'x-a': '1', 'X-A': '2' }]) {
    await t.rejects(api.getForApp('Api', { extraHeaderParameters }), { code: 'FST_IDW_CONFIG_INVALID' }, JSON.stringify(extraHeaderParameters))
    await t.rejects(api.getForApp('Api', options => { options.extraHeaderParameters = extraHeaderParameters }), { code: 'FST_IDW_CONFIG_INVALID' })
  }
  for (const value of values) {
    await t.rejects(api.getForApp('Api', { acceptHeader: value }), { code: 'FST_IDW_CONFIG_INVALID' })
    await t.rejects(api.postForApp('Api', {}, { contentType: value }), { code: 'FST_IDW_CONFIG_INVALID' })
  }
  t.strictSame([requests, tokenRequests], [[], []])
})
