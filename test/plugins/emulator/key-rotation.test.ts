import t from 'tap'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { tenantId } from '../../fixtures/todo-api.ts'
import { startUserWorld } from '../../fixtures/users.ts'

async function start (t: Parameters<typeof startUserWorld>[0]) {
  const world = await startUserWorld(t)
  const { entra } = world
  return {
    ...world,
    published: async () => {
      const { keys } = await (await fetch(entra.jwksUri(tenantId))).json() as { keys: { kid: string }[] }
      return keys.map(({ kid }) => kid)
    },
    kidOf: (token: string) => decodeProtectedHeader(token).kid,
    isVerified: (token: string) => jwtVerify(token, createRemoteJWKSet(new URL(entra.jwksUri(tenantId)))).then(() => true, () => false),
  }
}

t.test('a new key is published at once, and the old one stays', async t => {
  const { entra, published, kidOf, isVerified, exchange } = await start(t)
  const before = await entra.issueUserToken()
  await entra.rotateKeys()
  const after = await entra.issueUserToken()

  t.strictSame(await published(), [kidOf(after), kidOf(before)])
  t.strictSame([await isVerified(before), await isVerified(after)], [true, true])
  t.equal((await exchange(before)).status, 200)
})

t.test('a key that is retired is not in the key set any more, and what it signed is refused', async t => {
  const { entra, published, kidOf, isVerified, exchange } = await start(t)
  const before = await entra.issueUserToken()
  await entra.rotateKeys({ retireOld: true })
  const after = await entra.issueUserToken()

  t.strictSame(await published(), [kidOf(after)])
  t.strictSame([await isVerified(before), await isVerified(after)], [false, true])
  t.match(await exchange(before), { status: 400, body: { error: 'invalid_grant', error_codes: [50013] } })
})

t.test('a key that is kept back signs, and is published later; Entra ID itself knows it', async t => {
  const { entra, published, kidOf, isVerified, exchange } = await start(t)
  const before = await entra.issueUserToken()
  await entra.rotateKeys({ publishNew: false })
  const after = await entra.issueUserToken()

  t.strictSame(await published(), [kidOf(before)])
  t.equal(await isVerified(after), false)
  t.equal((await exchange(after)).status, 200)

  entra.publishKeys()
  t.strictSame(await published(), [kidOf(after), kidOf(before)])
  t.equal(await isVerified(after), true)
})

t.test('with both, there is no key until the new one is published', async t => {
  const { entra, published } = await start(t)
  await entra.rotateKeys({ retireOld: true, publishNew: false })
  t.strictSame(await published(), [])
  entra.publishKeys()
  t.equal((await published()).length, 1)
})

t.test('several keys that are kept back are published together, the newest first', async t => {
  const { entra, published, kidOf } = await start(t)
  await entra.rotateKeys({ publishNew: false })
  const one = kidOf(await entra.issueUserToken())
  await entra.rotateKeys({ publishNew: false })
  const two = kidOf(await entra.issueUserToken())
  entra.publishKeys()
  t.strictSame((await published()).slice(0, 2), [two, one])
})

t.test('what rotateKeys does not know is refused by name', async t => {
  const { entra } = await start(t)
  await t.rejects(entra.rotateKeys({ retire: true } as never), { name: 'TypeError', message: /rotateKeys: retire/ })
})
