import t from 'tap'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { util } from 'undici'
import { headerValue, headerValues, isPlainJson } from '../../../lib/downstream/answer-headers.ts'

const raw = (...headers: string[]) => headers.map(text => Buffer.from(text))

t.test('plain JSON is seen in the bytes of the header, in any letter case and with parameters, and nothing else is taken for it', async t => {
  for (const type of ['application/json', 'Application/JSON', 'application/json;charset=utf-8']) t.ok(isPlainJson(raw('x', 'y', 'Content-TYPE', type)), type)
  for (const type of ['application/jsonp', 'application/jso', 'text/json', 'application/problem+json', 'application/json ', '', 'application[json']) t.notOk(isPlainJson(raw('content-type', type)), type)
  t.notOk(isPlainJson(raw('content-typo', 'application/json')))
  t.notOk(isPlainJson([]))
  t.notOk(isPlainJson({ 'content-type': 'application/json' }), 'headers that are text already are read as text')
})

t.test('a header is found by its name in any letter case, the first where it came more than once', async t => {
  t.equal(headerValue(raw('A', '1', 'Retry-After', '7', 'retry-after', '8'), 'retry-after'), '7')
  t.equal(headerValue({ 'retry-after': ['7', '8'] }, 'retry-after'), '7')
  t.equal(headerValue(raw('a', '1'), 'b'), undefined)
})

t.test('headers as they came over the wire are read as undici reads them: by names in lower case, and as lists where they came more than once', async t => {
  const once = raw('Content-Type', 'a/b', 'Set-Cookie', 'a=1', 'SET-COOKIE', 'b=2', 'set-cookie', 'c=3', '__proto__', 'x', 'constructor', 'y', 'X-Empty', '')
  t.strictSame(Object.entries(headerValues(once)), [['content-type', 'a/b'], ['set-cookie', ['a=1', 'b=2', 'c=3']], ['__proto__', 'x'], ['constructor', 'y'], ['x-empty', '']])
  t.equal(headerValues([Buffer.from('a'), Buffer.from([0xe9])])['a'], '\u00e9', 'one character a byte')
  t.strictSame(headerValues([]), {})
  const parsed = { a: ['1', '2'] }
  t.equal(headerValues(parsed), parsed, 'what is parsed already stays as it is')

  const name = fc.oneof(fc.constantFrom('A', 'a', 'Set-Cookie', 'set-cookie', '__proto__', '__PROTO__', 'toString', 'Content-Length'), fc.string({ minLength: 1 })).map(text => Buffer.from(text))
  const header = fc.tuple(name, fc.uint8Array().map(bytes => Buffer.from(bytes)))
  fc.assert(fc.property(fc.array(header), headers => {
    const flat = headers.flat()
    return isDeepStrictEqual(Object.entries(headerValues(flat)), Object.entries(util.parseHeaders([...flat])))
  }))
})
