import t from 'tap'
import fc from 'fast-check'
import { claimsChallenge, decodeClaims, encodeClaims } from '../../../lib/challenges/claims-challenge.ts'

// Its base64 has both characters that base64url writes otherwise, and padding.
const claims = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}},"a":"??>>~~\u00fc"}'
const base64 = Buffer.from(claims).toString('base64')
const base64url = Buffer.from(claims).toString('base64url')

const challengeWith = (value: string) => `Bearer realm="", authorization_uri="https://login.example/common/oauth2/authorize", error="insufficient_claims", claims="${value.replace(/["\\]/g, '\\$&')}"`

t.test('the fixture is what the tests need', async t => {
  t.match(base64, /[+/].*=$/)
  t.match(base64url, /[-_]/)
})

t.test('claims are decoded from base64 and base64url, padded or not, and taken as they are where they are JSON', async t => {
  for (const value of [base64, base64.replace(/=+$/, ''), base64url, `${base64url}=`, claims, ` ${claims} `]) t.equal(claimsChallenge(401, challengeWith(value)), claims, value)
  t.equal(claimsChallenge(401, challengeWith(Buffer.from('{ "a" : 1 }').toString('base64'))), '{"a":1}')
})

t.test('a claims challenge is found among others, in any letter case, and without quotes', async t => {
  for (const values of [
    ['Negotiate', challengeWith(base64)],
    [`Basic realm="x, Bearer", ${challengeWith(base64)}`],
    [`Bearer error="invalid_token", ${challengeWith(base64)}`],
    [`BEARER ERROR="Insufficient_Claims", CLAIMS=${base64}`],
  ]) t.equal(claimsChallenge(401, values), claims, values.join())
})

t.test('nothing else is a claims challenge', async t => {
  for (const [what, status, values] of [
    ['403', 403, challengeWith(base64)],
    ['400', 400, challengeWith(base64)],
    ['200', 200, challengeWith(base64)],
    ['302', 302, challengeWith(base64)],
    ['no header', 401, undefined],
    ['an empty header', 401, ''],
    ['another scheme', 401, challengeWith(base64).replace('Bearer', 'PoP')],
    ['another error', 401, challengeWith(base64).replace('insufficient_claims', 'invalid_token')],
    ['no error', 401, `Bearer claims="${base64}"`],
    ['no claims', 401, 'Bearer error="insufficient_claims"'],
    ['parts in two challenges', 401, `Bearer error="insufficient_claims", Basic claims="${base64}"`],
    ['claims twice', 401, `${challengeWith(base64)}, claims="${base64}"`],
    ['empty claims', 401, challengeWith('')],
    ['no base64', 401, challengeWith('?')],
    ['no JSON', 401, challengeWith(Buffer.from('claims').toString('base64'))],
    ['broken JSON', 401, challengeWith('{"a":')],
    ['a list', 401, challengeWith(Buffer.from('[{}]').toString('base64'))],
    ['null', 401, challengeWith(Buffer.from('null').toString('base64'))],
    ['no UTF-8', 401, challengeWith(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64'))],
    ['nothing that could be asked of an access token', 401, challengeWith('{"access_token":null}')],
    ['a list that is asked of an access token', 401, challengeWith('{"access_token":[]}')],
  ] as [string, number, string | undefined][]) t.equal(claimsChallenge(status, values), undefined, what)
})

t.test('claims of 8 KiB are taken, and of more are not', async t => {
  const encoded = (length: number) => encodeClaims(`{"a":"${'x'.repeat(length - 8)}"}`)
  t.equal(encoded(6_144).length, 8_192)
  t.equal(decodeClaims(encoded(6_144))?.length, 6_144)
  t.equal(decodeClaims(encoded(6_145)), undefined)
})

t.test('claims that are encoded are decoded as they were, and nothing makes the decoder throw', async () => {
  fc.assert(fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 }), value => {
    const json = JSON.stringify({ ...value, access_token: {} })
    return decodeClaims(encodeClaims(json)) === JSON.stringify(JSON.parse(json))
  }))
  fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.base64String()), text => {
    decodeClaims(text)
    decodeClaims(`{${text}`)
  }))
  decodeClaims(`{"a":${'['.repeat(8_000)}`)
  decodeClaims(`{"a":${'['.repeat(4_000)}${']'.repeat(4_000)}}`)
})
