import t from 'tap'
import fc from 'fast-check'
import { formatChallenge, parseChallenges } from '../../../lib/challenges/www-authenticate.ts'

/** In short: scheme, and parameters or the token. */
function parsed (values: string | readonly string[]): unknown[] {
  return parseChallenges(values).map(({ scheme, token68, parameters }) => [scheme, token68 ?? Object.fromEntries(parameters)])
}

const tokenCharacters = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
const name = fc.string({ unit: fc.constantFrom(...tokenCharacters), minLength: 1, maxLength: 12 })
const printable = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map(code => String.fromCharCode(code)), maxLength: 60 })
const anyText = fc.string({ unit: 'binary', maxLength: 60 })
const parameters = (value: fc.Arbitrary<string>) => fc.uniqueArray(fc.tuple(name, value), { selector: ([key]) => key, maxLength: 6 })

t.test('challenges are read as RFC 9110 has them', async t => {
  for (const [what, values, expected] of [
    ['the example of RFC 9110', 'Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""', [['basic', { realm: 'simple' }], ['newauth', { realm: 'apps', type: '1', title: 'Login to "apps"' }]]],
    ['no parameters', 'Negotiate', [['negotiate', {}]]],
    ['no parameters before another', 'Negotiate, Bearer a=b', [['negotiate', {}], ['bearer', { a: 'b' }]]],
    ['no parameters, and a space', 'Negotiate , NTLM ', [['negotiate', {}], ['ntlm', {}]]],
    ['a token', 'Negotiate YWJj+/-._~==, Bearer a=b', [['negotiate', 'YWJj+/-._~=='], ['bearer', { a: 'b' }]]],
    ['a token alone', 'Negotiate a=', [['negotiate', 'a=']]],
    ['commas and equals signs in quotes', 'Bearer a="1, Basic b=2", c="=="', [['bearer', { a: '1, Basic b=2', c: '==' }]]],
    ['letter case', 'BEARER Error="X"', [['bearer', { error: 'X' }]]],
    ['spaces around the equals sign', 'Bearer a = b ,c\t=\t"d"', [['bearer', { a: 'b', c: 'd' }]]],
    ['empty items', ' ,, Bearer ,, a=1,, ,b=2,', [['bearer', {}]]],
    ['empty items between parameters', ', ,Bearer a=1,, ,b=2,', [['bearer', { a: '1', b: '2' }]]],
    ['empty quotes', 'Bearer realm=""', [['bearer', { realm: '' }]]],
    ['several lines', ['Basic realm="x"', 'Bearer a=b'], [['basic', { realm: 'x' }], ['bearer', { a: 'b' }]]],
    ['base64 without quotes', 'Bearer claims=eyJhIjoxfQ==, b=c', [['bearer', { claims: 'eyJhIjoxfQ==', b: 'c' }]]],
    ['names of prototypes', 'Bearer __proto__=a, constructor=b', [['bearer', JSON.parse('{"__proto__":"a","constructor":"b"}')]]],
    ['nothing', '', []],
    ['no lines', [], []],
  ] as [string, string | string[], unknown[]][]) t.strictSame(parsed(values), expected, what)
})

t.test('a fault drops its challenge and what follows on the line, and no other line', async t => {
  for (const [what, value, before = []] of [
    ['an open quote', 'Basic a=1, Bearer b="c', [['basic', { a: '1' }]]],
    ['an open escape', 'Bearer b="c\\'],
    ['a scheme that is none', '"Bearer" a=b'],
    ['a scheme that runs into something', 'Bearer=a'],
    ['words without a comma', 'Bearer a="1" b="2", Basic c=3'],
    ['two words', 'Bearer a b'],
    ['a quote in a word', 'Bearer a=b"c"'],
    ['no value', 'Bearer x=1, a=, b=c'],
    ['no name', 'Bearer ="a"'],
  ] as [string, string, unknown[]?][]) t.strictSame(parsed([value, 'Next x=y']), [...before, ['next', { x: 'y' }]], what)
})

t.test('a challenge with a parameter that is there twice is dropped, and the next is not', async t => {
  t.strictSame(parsed('Bearer a=1, A="2", Basic b=3'), [['basic', { b: '3' }]])
})

t.test('more than 16 KiB in all gives none', async t => {
  const line = `Bearer a="${'x'.repeat(8_181)}"`
  t.equal(line.length, 8_192)
  t.equal(parsed([line, line]).length, 2)
  t.strictSame(parsed([line, line, ' ']), [])
})

t.test('what is formatted is read as it was', async () => {
  fc.assert(fc.property(name, parameters(printable), (scheme, entries) => {
    const [challenge, ...others] = parseChallenges(formatChallenge(scheme, Object.fromEntries(entries)))
    return others.length === 0 && challenge?.scheme === scheme && JSON.stringify([...challenge.parameters].sort()) === JSON.stringify(entries.toSorted())
  }), { numRuns: 500 })
})

t.test('no value leaves its quotation marks or the line', async () => {
  fc.assert(fc.property(parameters(anyText), entries => {
    const text = formatChallenge('Bearer', Object.fromEntries(entries))
    const [challenge, ...others] = parseChallenges(text)
    return /^[\x20-\x7e]*$/.test(text) && others.length === 0 && challenge!.parameters.size === entries.length
  }), { numRuns: 500 })
})

t.test('parameters without a value are left out', async t => {
  t.equal(formatChallenge('Bearer', { a: undefined, b: 'say "\\"\r\n\u00e9' }), 'Bearer b="say \\"\\\\\\"   "')
  t.equal(formatChallenge('Bearer', { a: undefined }), 'Bearer')
})

t.test('nothing that a server sends makes the parser throw', async () => {
  const piece = fc.oneof(fc.constantFrom('Bearer', ' ', ',', '=', '"', '\\', '==', 'a', '\t', 'claims="', 'error=insufficient_claims'), fc.string({ unit: 'binary', maxLength: 4 }))
  fc.assert(fc.property(fc.array(fc.array(piece, { maxLength: 40 }).map(pieces => pieces.join('')), { maxLength: 3 }), lines => {
    parseChallenges(lines)
  }), { numRuns: 2_000 })
})

t.test('the longest values are read in no time, whatever they are made of', async t => {
  for (const piece of ['a', '=', ' ', '\t', ',', '"', '\\', 'a ', 'a,', 'a=', 'a=,', 'a =', 'a=b ', 'a=b,', 'a="', '"\\', 'a b,', '==a', 'Bearer a="b", ', 'a=\\"']) {
    for (const start of ['', 'Bearer ', 'Bearer a=', 'Bearer a="', 'Bearer a=b, ']) {
      const began = performance.now()
      parseChallenges((start + piece.repeat(16_384)).slice(0, 16_384))
      const took = performance.now() - began
      if (took > 500) t.fail(`${start}${piece} took ${took} ms`)
    }
  }
})
