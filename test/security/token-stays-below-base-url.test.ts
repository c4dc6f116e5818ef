import t from 'tap'
import { apiUrl, requireInsideApi, requireInsideApiStill } from '../../lib/downstream/api-url.ts'

const refused = { code: 'FST_IDW_URL_NOT_ALLOWED', statusCode: 500 }
const api = { name: 'MyWebApi', baseUrl: 'https://api.example/base/', relativePath: '', extraQueryParameters: {} }
const urlOf = (relativePath: string, more: object = {}) => apiUrl({ ...api, relativePath, ...more })

t.test('a relativePath that names another origin is refused', async t => {
  for (const path of ['//evil.example', '\\\\evil.example', '/\\evil.example', '/\t/evil.example', '\n//evil.example', 'http:evil.example', 'https://api@evil.example', 'javascript:1', 'HTTPS:evil.example']) {
    t.throws(() => urlOf(path), refused, JSON.stringify(path))
  }
})

t.test('a relativePath that leaves the base path, or that a server may read so, is refused', async t => {
  for (const path of ['../admin', 'a/../../admin', '%2e%2e/admin', '.%2e/admin', '%2E./admin', '..%2fadmin', 'a%2Fb', '..%5cadmin', '..\\admin', '..;/admin', '.;x/admin', '.', 'a/.', '%252e%252e/admin', '..%252fadmin', '%25252e/x']) {
    t.throws(() => urlOf(path), refused, JSON.stringify(path))
  }
})

t.test('a relativePath with white space, control characters or a fragment is refused', async t => {
  for (const path of ['a b', 'a\rb', 'a\u0000b', 'a\u007fb', 'a#b', 'a?b#c', 'a?b\n']) {
    t.throws(() => urlOf(path), refused, JSON.stringify(path))
  }
})

t.test('base and relative path are joined by one slash', async t => {
  for (const [baseUrl, relativePath, url] of [
    ['https://api.example/', '', 'https://api.example/'],
    ['https://api.example', 'todos', 'https://api.example/todos'],
    ['https://api.example/base', '', 'https://api.example/base/'],
    ['https://api.example/base//', '/todos/', 'https://api.example/base/todos/'],
    ['https://api.example/base', 'secrets/x?api-version=7.4', 'https://api.example/base/secrets/x?api-version=7.4'],
    ['https://api.example/base', 'sites/contoso.example:/teams/hr', 'https://api.example/base/sites/contoso.example:/teams/hr'],
    ['https://api.example/base', 'users/a@b.example', 'https://api.example/base/users/a@b.example'],
    ['https://api.example/base', ':80@evil.example', 'https://api.example/base/:80@evil.example'],
    ['https://api.example/base', '.evil.example', 'https://api.example/base/.evil.example'],
    ['https://api.example/base', 'naïve', 'https://api.example/base/na%C3%AFve'],
  ] as const) {
    t.equal(urlOf(relativePath, { baseUrl }), url)
  }
})

t.test('each path parameter is one encoded segment', async t => {
  for (const [id, segment] of [
    ['../../admin', '..%2F..%2Fadmin'], ['a/b', 'a%2Fb'], ['a?x=1', 'a%3Fx%3D1'], ['a#b', 'a%23b'], ['%2f', '%252f'], ['%2e%2e', '%252e%252e'],
    ['..;/', '..%3B%2F'], ['a\\b', 'a%5Cb'], ['it\'s (1)*!', 'it%27s%20%281%29%2A%21'], ['\ud800', '%EF%BF%BD'], ['{id}', '%7Bid%7D'],
  ]) {
    t.equal(urlOf('users/{id}/items', { pathParameters: { id } }), `https://api.example/base/users/${segment}/items`)
  }
  t.equal(urlOf('{a}-{b}', { pathParameters: { a: 1, b: 0 } }), 'https://api.example/base/1-0')
})

t.test('a path parameter that is missing, empty or a dot segment is refused', async t => {
  for (const pathParameters of [undefined, {}, { id: '' }, { id: '.' }, { id: '..' }, { ID: 'x' }, Object.create({ id: 'inherited' })]) {
    t.throws(() => urlOf('users/{id}', pathParameters && { pathParameters }), { ...refused, message: /path parameter "id"/ })
  }
  t.throws(() => urlOf('{toString}', { pathParameters: {} }), refused)
})

t.test('a query value stays a value, and an array repeats its key', async t => {
  const query = { id: '1&admin=true', tag: ['a', 'b#c'], page: 2, all: true, none: undefined, nothing: null, some: [undefined, 'x'] }

  t.equal(urlOf('todos?v=1', { query, extraQueryParameters: { 'api version': 'a+b c' } }),
    'https://api.example/base/todos?v=1&api%20version=a%2Bb%20c&id=1%26admin%3Dtrue&tag=a&tag=b%23c&page=2&all=true&some=x')
})

t.test('a query key that is configured already is a fault', async t => {
  t.throws(() => urlOf('todos', { query: { v: '2' }, extraQueryParameters: { v: '1' } }), { code: 'FST_IDW_CONFIG_INVALID', message: /MyWebApi\.query\.v/ })
})

t.test('the gate lets through what lies inside the origin and base path, and nothing else', async t => {
  t.equal(requireInsideApi('https://API.example:443/base/a', api), 'https://api.example/base/a')
  t.equal(requireInsideApi('https://api.example/base', api), 'https://api.example/base')
  for (const url of ['https://api.example/basement', 'https://api.example/', 'http://api.example/base/a', 'https://api.example:8443/base/a', 'https://user@api.example/base/a', 'https://:pw@api.example/base/a', 'https://evil.example/base/a', 'https://api.example.evil.example/base/', '/base/a', 'not a url', 'https://api.example/base/../admin', 'https://api.example/base/%2e%2e/admin']) {
    t.throws(() => requireInsideApi(url, api), refused, url)
  }
})

t.test('a path that a hook wrote is held to the rules of relativePath, one that it left is not', async t => {
  const composed = urlOf('users/{id}', { pathParameters: { id: 'a/b' } })

  t.equal(requireInsideApiStill(composed, composed, api), composed)
  t.equal(requireInsideApiStill(`${composed}?sig=1`, composed, api), `${composed}?sig=1`)
  t.equal(requireInsideApiStill('https://api.example/base/other', composed, api), 'https://api.example/base/other')
  for (const url of ['https://api.example/base/..%2fadmin', 'https://evil.example/base/users/a%2Fb', 'https://api.example/base/a%5c..', 'https://api.example/base/a#x']) {
    t.throws(() => requireInsideApiStill(url, composed, api), refused, url)
  }
})
