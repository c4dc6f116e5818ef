import t from 'tap'
import { bearerToken, requireToken } from '../../../lib/inbound/authorization-header.ts'

const malformed = { code: 'FST_IDW_UNAUTHORIZED', statusCode: 400, wwwAuthenticate: /^Bearer error="invalid_request", error_description="[^"]+"$/ }

t.test('the token is what follows Bearer, in whatever letter case, under a header in whatever letter case', async t => {
  for (const [name, value] of [['Authorization', 'Bearer a.b-c_d~e+f/g=='], ['authorization', 'bearer a.b-c_d~e+f/g=='], ['AUTHORIZATION', 'BEARER a.b-c_d~e+f/g==']] as const) {
    t.equal(bearerToken(['Host', 'x', name, value, 'X', 'y']), 'a.b-c_d~e+f/g==')
  }
  t.equal(bearerToken(['authorization', `Bearer ${'x'.repeat(16_384)}`])?.length, 16_384)
})

t.test('without a header, or with another scheme, there is no token', async t => {
  for (const headers of [[], ['Host', 'x'], ['x-authorization', 'Bearer a'], ['authorization2', 'Bearer a'], ['Proxy-Authorization', 'Bearer a'], ['Cookie', 'authorization=Bearer a'], ['bearer', 'authorization']]) t.equal(bearerToken(headers), undefined, headers.join())
  for (const value of ['Basic YTpi', 'Digest username="a"', 'Negotiate', 'Bearerish a', 'Bearer-Token a', 'DPoP a', `${'x'.repeat(100)} a`]) t.equal(bearerToken(['Authorization', value]), undefined, value)
})

t.test('a header that is there twice is malformed, whatever the two say', async t => {
  for (const [one, two] of [['Bearer a', 'Bearer a'], ['Bearer a', 'Basic b'], ['Basic a', 'Bearer b'], ['', 'Bearer a'], ['Bearer a', '']] as const) {
    t.throws(() => bearerToken(['Authorization', one, 'Host', 'x', 'aUTHORIZATION', two]), { ...malformed, message: /there are two Authorization headers/ }, `${one}, ${two}`)
  }
})

t.test('one token and nothing else stands behind Bearer', async t => {
  for (const value of ['Bearer', 'Bearer ', 'Bearer  a', 'Bearer a b', 'Bearer\ta', 'Bearer a ', 'Bearer a,', 'Bearer a, Bearer b', 'Bearer: a', 'Bearer=a', 'Bearer "a"', 'Bearer a=b', 'Bearer =', 'Bearer a\u0000', 'Bearer ä', 'Bearer a\u00a0', 'Bearer,a', 'Bearer {a}', 'Bearer a;b', 'Bearer %61']) {
    t.throws(() => requireToken(bearerToken(['Authorization', value])!), malformed, JSON.stringify(value))
  }
  for (const value of ['', ' ', ' Bearer a', '\tBearer a', '"Bearer" a', ',Bearer a', 'ä a', '=']) t.throws(() => bearerToken(['Authorization', value]), { ...malformed, message: /has no scheme/ }, JSON.stringify(value))
})

t.test('a token that is too long is refused before it is looked at', async t => {
  for (const value of [`Bearer ${'x'.repeat(16_385)}`, `Bearer ${'x'.repeat(1024 * 1024)}`, `Bearer ${'='.repeat(1024 * 1024)}`, `Bearer ${' '.repeat(1024 * 1024)}`]) {
    const start = performance.now()
    t.throws(() => bearerToken(['Authorization', value]), { ...malformed, message: /too long/ })
    t.ok(performance.now() - start < 50)
  }
})
