import t from 'tap'
import { endingEarlier, fromStoredText, toStoredText } from '../../../lib/store/stored-token.ts'
import type { Token } from '../../../lib/tokens/token.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'
import { aToken } from '../../fixtures/token-store.ts'

const facts = ({ accessToken, tokenType, expiresOn, refreshOn, tenantId, scopes, correlationId }: Token) => ({ accessToken, tokenType, expiresOn, refreshOn, tenantId, scopes, correlationId })
const token = aToken(new FakeClock())
const stored = JSON.parse(toStoredText(token)) as object

t.test('a token comes back as it was', async t => {
  for (const before of [token, aToken(new FakeClock(), 'opaque', { refreshOn: 1_900_000_000_000, tenantId: undefined, scopes: [] })]) {
    const after = fromStoredText(toStoredText(before))!
    t.strictSame(facts(after), facts(before))
    t.equal(after.authorizationHeader, before.authorizationHeader)
  }
})

t.test('a token that ends earlier wants to be renewed earlier, and is the same otherwise', async t => {
  const before = aToken(new FakeClock(), 'opaque', { refreshOn: 1_900_000_000_000 })
  t.strictSame(facts(endingEarlier(before, 5)), { ...facts(before), expiresOn: before.expiresOn - 5, refreshOn: 1_899_999_999_995 })
  t.equal(endingEarlier(token, 5).refreshOn, undefined)
})

t.test('fields that another version has written are passed over', async t => {
  t.strictSame(facts(fromStoredText(JSON.stringify({ ...stored, more: { x: 1 } }))!), facts(token))
})

t.test('text that is no token gives none', async t => {
  for (const text of ['', 'x', '{', 'null', 'true', '7', '"text"', '[]', '{}', '[{}]', JSON.stringify([stored])]) t.equal(fromStoredText(text), undefined, text)
})

t.test('a token of which anything is wrong gives none', async t => {
  for (const [name, values] of Object.entries({
    accessToken: [undefined, null, '', 7, {}, 'two words', 'a\r\nCookie: b', 'tökèn'],
    tokenType: [undefined, '', 'Bearer ', 'a\nb', 7],
    expiresOn: [undefined, null, '1900000000000', {}],
    refreshOn: [null, '1', true],
    tenantId: [null, '', 7],
    scopes: [undefined, null, 'a', {}, [''], [7], [null]],
    correlationId: [undefined, '', 7],
  })) {
    for (const value of values) t.equal(fromStoredText(JSON.stringify({ ...stored, [name]: value })), undefined, `${name}: ${JSON.stringify(value)}`)
  }
})

t.test('a token that never ends gives none', async t => {
  const text = JSON.stringify({ ...stored, expiresOn: 7, refreshOn: 8 })
  t.ok(fromStoredText(text))
  t.equal(fromStoredText(text.replace(':7', ':1e999')), undefined)
  t.equal(fromStoredText(text.replace(':8', ':-1e999')), undefined)
})

t.test('keys that could reach a prototype do nothing', async t => {
  t.equal(fromStoredText(`{"__proto__":${JSON.stringify(stored)}}`), undefined)
  t.equal(fromStoredText(`{"constructor":{"prototype":${JSON.stringify(stored)}}}`), undefined)
  t.strictSame(facts(fromStoredText(`{"__proto__":{"expiresOn":1},${JSON.stringify(stored).slice(1)}`)!), facts(token))
  t.equal(({} as { accessToken?: string }).accessToken, undefined)
})
