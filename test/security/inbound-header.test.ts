import t from 'tap'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { buildProtected } from '../fixtures/callers.ts'
import { ForbiddenError, UnauthorizedError } from '../../lib/errors.ts'
import { accessDenied, malformedHeader, tokenRefused } from '../../lib/inbound/refusals.ts'

const invalidRequest = /^HTTP\/1\.1 400 [\s\S]*www-authenticate: Bearer error="invalid_request", error_description="[^"]+"\r\n/i

/** What the application answers to bytes on a socket. */
async function overSocket (app: FastifyInstance, lines: readonly string[], url = '/anybody'): Promise<string> {
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1').on('data', (data: string) => { answer += data }).on('error', () => {})
  socket.write(`GET ${url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines.map(line => `${line}\r\n`).join('')}\r\n`)
  await once(socket, 'close')
  return answer
}

t.test('over a socket, two Authorization headers and malformed ones are refused as such, and one token is taken from one header alone', async t => {
  const { app, authority } = await buildProtected(t)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const token = await authority.sign()
  const bearer = `Authorization: Bearer ${token}`

  t.match(await overSocket(app, [bearer]), /^HTTP\/1\.1 200 /)
  t.match(await overSocket(app, [`AUTHORIZATION:bearer ${token}  `]), /^HTTP\/1\.1 200 /, 'the space around a value is no part of it')
  for (const lines of [[bearer, bearer], [bearer, 'authorization: Basic YTpi'], ['Authorization: Basic YTpi', bearer], [bearer, 'X: y', `aUTHORIZATION: Bearer ${token}`], ['Authorization:', bearer], [`${bearer}, Bearer ${token}`], [`Authorization: Bearer  ${token}`], [`Authorization: Bearer\t${token}`], [`Authorization: Bearer ${token} x`], ['Authorization: Bearer'], ['Authorization:']]) {
    t.match(await overSocket(app, lines), invalidRequest, lines.map(line => line.slice(0, 24)).join(' | '))
  }
  t.notMatch(await overSocket(app, [`Authorization: Bearer\r\n ${token}`]), /^HTTP\/1\.1 200 /, 'a folded header')
  t.match(await overSocket(app, ['Authorization: Basic YTpi']), /^HTTP\/1\.1 401 [\s\S]*www-authenticate: Bearer\r\n/i)
})

t.test('a token is taken from the header, and from no other place', async t => {
  const { app, authority } = await buildProtected(t, {
    routes: app => app.post('/anybody', { config: { auth: {} } }, () => 'in'),
  })
  const token = await authority.sign()
  const places = [{ url: `/anybody?access_token=${token}` }, { url: '/anybody', payload: { access_token: token } }, { url: '/anybody', payload: `access_token=${token}`, headers: { 'content-type': 'application/x-www-form-urlencoded' } }, { url: '/anybody', headers: { cookie: `access_token=${token}; authorization=Bearer ${token}` } }, { url: '/anybody', headers: { 'x-ms-token-aad-access-token': token, 'proxy-authorization': `Bearer ${token}` } }]
  for (const place of places) t.match(await app.inject({ method: 'POST', ...place }), { statusCode: 401, headers: { 'www-authenticate': 'Bearer' } }, JSON.stringify(place).slice(0, 40))
  t.equal((await app.inject({ method: 'POST', url: '/anybody', headers: { authorization: `Bearer ${token}` } })).statusCode, 200)
})

t.test('a token of a mebibyte is refused at once, without a look at it', async t => {
  const { app } = await buildProtected(t)
  for (const authorization of [`Bearer ${'x'.repeat(1024 * 1024)}`, `Bearer ${'x.'.repeat(512 * 1024)}`]) {
    t.match(await app.inject({ url: '/anybody', headers: { authorization } }), { statusCode: 400, headers: { 'www-authenticate': /invalid_request.*the token is too long/ } })
  }
})

t.test('refusals follow RFC 6750: a bare challenge without a token, and a reason with one', async t => {
  const { call, callWith } = await buildProtected(t)
  t.strictSame((await call(undefined)).challenge, 'Bearer')
  t.match(await call(undefined), { status: 401, body: { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401 } })
  t.match(await call('x'), { status: 401, challenge: 'Bearer error="invalid_token", error_description="it is no signed JWT"' })
  t.match(await call('a b'), { status: 400, challenge: /^Bearer error="invalid_request"/ })
  t.match(await callWith({ scp: 'Other' }, '/read'), { status: 403, challenge: 'Bearer error="insufficient_scope", error_description="the token lacks the scope", scope="Todo.Read"' })
})

t.test('what stands in a challenge cannot leave its quotation marks, or the line', async t => {
  const evil = 'a"b\\c\r\nSet-Cookie: d=1\u0000\u007f\u2028é, Basic realm="x'
  for (const { wwwAuthenticate } of [malformedHeader(evil), tokenRefused(evil), accessDenied(evil, [evil])] as (UnauthorizedError | ForbiddenError)[]) {
    t.match(wwwAuthenticate, /^Bearer( \w+="([^"\\]|\\["\\])*",?)+$/)
    t.match(wwwAuthenticate, /^[\x20-\x7e]+$/)
  }
  for (const scope of ['a"b', 'a\\b', 'a b', 'a\r\nb', '', 'ä']) {
    await t.rejects(buildProtected(t, { routes: app => { app.get('/', { config: { auth: { scopes: [scope] } } }, () => '') } }), { code: 'FST_IDW_CONFIG_INVALID', message: /route GET \/ config\.auth\.scopes\[0\]: / }, JSON.stringify(scope))
  }
})
