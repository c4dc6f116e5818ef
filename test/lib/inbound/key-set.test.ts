import t from 'tap'
import { exportJWK, generateKeyPair } from 'jose'
import { readKeySet } from '../../../lib/inbound/key-set.ts'

const { publicKey } = await generateKeyPair('RS256', { extractable: true })
const { n, e } = await exportJWK(publicKey)
const good = { kty: 'RSA', n, e, kid: 'good', use: 'sig', issuer: 'https://login.example/{tenantid}/v2.0' }
const read = (...keys: unknown[]) => readKeySet(JSON.stringify({ keys }))

t.test('the keys of a set that may sign are read, with whose they are', async t => {
  t.match(await read(good, { ...good, kid: 'plain', use: undefined, alg: 'RS256', issuer: 7 }), [
    { kid: 'good', issuer: good.issuer, modulus: n, key: { type: 'public' } },
    { kid: 'plain', issuer: undefined },
  ])
})

t.test('what is no key for RS256 signatures is passed over, and so is one that cannot be read', async t => {
  const others = [
    { ...good, use: 'enc' }, { ...good, alg: 'PS256' }, { ...good, alg: 'none' }, { ...good, kty: 'EC' }, { ...good, kty: 'oct', k: 'c2VjcmV0' }, { ...good, kid: undefined }, { ...good, kid: '' }, { ...good, kid: 7 }, { ...good, n: undefined },
    { ...good, n: n!.slice(0, 300) }, { ...good, e: undefined }, { ...good, e: '' }, { ...good, n: '!'.repeat(400) }, { ...good, n: 'A'.repeat(400), kid: 'zero' }, null, 7, 'x', [],
  ]
  const names = (await read(...others, good)).map(({ kid }) => kid)
  t.strictSame(names, ['good'])
})

t.test('private parts of a key are left out', async t => {
  const [key] = await read({ ...good, d: 'AA', p: 'AA', q: 'AA', dp: 'AA', dq: 'AA', qi: 'AA', x5c: ['AA'] })
  t.match(key, { key: { type: 'public', extractable: true } })
})

t.test('no more than a hundred keys are read', async t => {
  t.equal((await read(...Array.from({ length: 200 }, (_, index) => ({ ...good, kid: String(index) })))).length, 100)
})

t.test('a set without a key that can be used is none', async t => {
  for (const text of ['{}', '[]', 'null', '7', '{"keys":[]}', '{"keys":{}}', '{"keys":null}', JSON.stringify({ keys: [{ ...good, use: 'enc' }] }), JSON.stringify({ keys: [{ ...good, n: '!'.repeat(400) }] })]) {
    await t.rejects(readKeySet(text), { message: 'there is no key in the key set of the authority' }, text.slice(0, 30))
  }
  for (const text of ['', '<html>']) await t.rejects(readKeySet(text), SyntaxError)
})
