import t from 'tap'
import { createDecipheriv } from 'node:crypto'
import { TokenCipher } from '../../../lib/store/token-cipher.ts'

const first = { id: 'first', key: Buffer.alloc(32, 1) }
const second = { id: 'second', key: Buffer.alloc(32, 2) }
const text = 'a token, with ünïcode'

t.test('what was encrypted decrypts under its name, and is another value every time', async t => {
  const cipher = new TokenCipher([first])

  const [one, other] = [cipher.encrypt(text, 'name'), cipher.encrypt(text, 'name')]

  t.not(one, other)
  t.strictSame([cipher.decrypt(one, 'name'), cipher.decrypt(other, 'name')], [text, text])
  t.equal(cipher.decrypt(cipher.encrypt('', 'name'), 'name'), '')
})

t.test('it is AES-256-GCM over a random IV of 12 bytes, with the name as additional data, and the key id in front', async t => {
  const [id, encoded] = new TokenCipher([first, second]).encrypt(text, 'name').split('.')
  const sealed = Buffer.from(encoded!, 'base64url')

  const decipher = createDecipheriv('aes-256-gcm', first.key, sealed.subarray(0, 12)).setAAD(Buffer.from('name')).setAuthTag(sealed.subarray(-16))

  t.equal(id, 'first')
  t.equal(decipher.update(sealed.subarray(12, -16), undefined, 'utf8') + decipher.final('utf8'), text)
})

t.test('a value under another name does not decrypt', async t => {
  const cipher = new TokenCipher([first])
  t.equal(cipher.decrypt(cipher.encrypt(text, 'name'), 'another name'), undefined)
})

t.test('no value with a single changed bit decrypts', async t => {
  const cipher = new TokenCipher([first])
  const value = cipher.encrypt(text, 'name')
  const sealed = Buffer.from(value.slice('first.'.length), 'base64url')

  const readable = Array.from({ length: sealed.length * 8 }, (_, bit) => bit).filter(bit => {
    const flipped = Buffer.from(sealed)
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    return cipher.decrypt(`first.${flipped.toString('base64url')}`, 'name') !== undefined
  })

  t.strictSame(readable, [])
})

t.test('no value with a single changed character decrypts', async t => {
  const cipher = new TokenCipher([first, second])
  // Of each of these lengths, the last character has another number of bits that no byte needs.
  for (const text of ['a', 'ab', 'abc']) {
    const value = cipher.encrypt(text, 'name')
    const changed = [...value].flatMap((right, at) => [...'ABa0-_.=\n\0\u00e9'].filter(character => character !== right).map(character => value.slice(0, at) + character + value.slice(at + 1)))
    t.strictSame(changed.filter(value => cipher.decrypt(value, 'name') !== undefined), [])
  }
})

t.test('values of any other form do not decrypt', async t => {
  const cipher = new TokenCipher([first])
  const value = cipher.encrypt(text, 'name')
  for (const other of ['', '.', 'first', 'first.', 'first.AAAA', `${value}.`, `${value}.x`, `x.${value}`, `.${value}`, `FIRST${value.slice(5)}`, value.slice(6), `__proto__${value.slice(5)}`, value.slice(0, 30), `${value}=`, 'null', '{}', 'x'.repeat(100_000)]) t.equal(cipher.decrypt(other, 'name'), undefined, other.slice(0, 20))
})

t.test('keys rotate: all are read, the first is written', async t => {
  const [before, during, after] = [new TokenCipher([first]), new TokenCipher([second, first]), new TokenCipher([second])]
  const old = before.encrypt(text, 'name')

  t.equal(during.decrypt(old, 'name'), text)
  t.match(during.encrypt(text, 'name'), /^second\./)
  t.equal(after.decrypt(during.encrypt(text, 'name'), 'name'), text)
  t.equal(after.decrypt(old, 'name'), undefined)
  t.equal(before.decrypt(during.encrypt(text, 'name'), 'name'), undefined)
})

t.test('another key under the same id does not decrypt', async t => {
  t.equal(new TokenCipher([{ ...second, id: 'first' }]).decrypt(new TokenCipher([first]).encrypt(text, 'name'), 'name'), undefined)
})

t.test('what becomes of the bytes of a key later makes no difference', async t => {
  const key = Buffer.alloc(32, 1)
  const cipher = new TokenCipher([{ id: 'first', key }])
  key.fill(0)

  t.equal(new TokenCipher([first]).decrypt(cipher.encrypt(text, 'name'), 'name'), text)
})
