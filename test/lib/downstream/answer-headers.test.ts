import t from 'tap'
import { headerValue, isPlainJson } from '../../../lib/downstream/answer-headers.ts'

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
