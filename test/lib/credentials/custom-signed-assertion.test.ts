import t from 'tap'
import { CustomSignedAssertion, type CustomSignedAssertionContext, type CustomSignedAssertionProvider } from '../../../lib/credentials/custom-signed-assertion.ts'
import { endingJwt, jwtOf } from '../../fixtures/assertions.ts'
import { contextOf, credentialServices } from '../../fixtures/credentials.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'

const HOUR = 3_600_000
const MINUTE = 60_000

/** The credential over a provider that gives one assertion after another, each with the life that the test wants. */
function credentialOf (given?: CustomSignedAssertionProvider, life = HOUR) {
  const clock = new FakeClock()
  const contexts: CustomSignedAssertionContext[] = []
  const services = credentialServices({ clock })
  let answer = given
  const provider: CustomSignedAssertionProvider = async context => {
    contexts.push(context)
    return answer === undefined ? endingJwt(String(contexts.length), clock.now(), life) : answer(context)
  }
  const credential = new CustomSignedAssertion({ name: 'signer', provider, data: Object.freeze({ key: 'todo' }) }, 'AzureAd.ClientCredentials[0]', services)
  const sign = async (context = contextOf()) => {
    const authentication = await credential.authenticate(context)
    return 'clientAssertion' in authentication ? authentication.clientAssertion : undefined
  }
  return { clock, contexts, credential, sign, lines: services.lines, answerWith: (next: CustomSignedAssertionProvider | undefined) => { answer = next } }
}

t.test('the provider is told for whom it signs, and cannot change what it is told', async t => {
  const { sign, contexts } = credentialOf(async () => ` ${jwtOf('signed')}\n`)

  t.equal(await sign(contextOf({ clientId: 'c', tenantId: 't', tokenEndpoint: 'https://login.example/t' })), jwtOf('signed'))
  t.match(contexts, [{ clientId: 'c', tenantId: 't', tokenEndpoint: 'https://login.example/t', data: { key: 'todo' }, signal: AbortSignal }])
  t.ok(Object.isFrozen(contexts[0]) && Object.isFrozen(contexts[0]?.data))
})

t.test('an assertion is kept for its client, endpoint and tenant until its end is near', async t => {
  const { clock, sign, contexts } = credentialOf()
  const first = await sign()
  t.equal(await sign(), first)
  for (const other of [{ clientId: 'c2' }, { tenantId: 't2' }, { tokenEndpoint: 'https://login.example/2' }]) t.not(await sign(contextOf(other)), first)
  t.equal(contexts.length, 4)

  clock.tick(55 * MINUTE - 1_000)
  t.equal(await sign(), first)
  clock.tick(1_000)
  t.not(await sign(), first)
})

t.test('one that does not say when it ends is not kept', async t => {
  for (const text of [jwtOf('no end'), 'opaque']) {
    const { sign, contexts } = credentialOf(async () => text)
    t.equal(await sign(), text)
    await sign()
    t.equal(contexts.length, 2)
  }
})

t.test('callers at one time share one call', async t => {
  const { sign, contexts } = credentialOf(async () => jwtOf('shared'))

  await Promise.all(Array.from({ length: 100 }, () => sign()))
  t.equal(contexts.length, 1)
})

t.test('what a provider says when it fails is in the cause alone', async t => {
  const said = new Error('the key is hunter2')
  const { sign } = credentialOf(() => { throw said })

  await t.rejects(sign(), { message: 'the provider "signer" failed; see the cause', cause: said })
})

t.test('a provider that gives no text, far too much of it, or an assertion that has ended, is a reason', async t => {
  for (const [answer, message] of [[undefined, /"signer" gave no text/], [7, /gave no text/], [' \n', /gave no text/], ['x'.repeat(64 * 1024 + 1), /"signer" gave more than 65536 characters/], [jwtOf('old', { exp: 1 }), /gave an assertion that has ended/]] as const) {
    const { sign } = credentialOf(async () => answer as string)
    await t.rejects(sign(), { message })
  }
})

t.test('a provider that hangs is ended before the deadline of the acquisition', async t => {
  const { clock, sign, contexts } = credentialOf(() => new Promise(() => {}))
  const signing = sign()
  clock.tick(8_000)

  await t.rejects(signing, { message: 'it took longer than 8000 ms' })
  t.ok(contexts[0]?.signal.aborted)
})

t.test('an assertion that cannot be renewed is used until it ends, and a hanging provider is not waited for as long', async t => {
  const { clock, sign, lines, answerWith } = credentialOf()
  const first = await sign()
  clock.tick(58 * MINUTE)

  answerWith(async () => { throw new Error('the key is hunter2') })
  t.equal(await sign(), first)
  t.match(lines, [{ level: 'warn', fields: { credential: 'AzureAd.ClientCredentials[0]' }, message: /used until it ends/ }])
  answerWith(() => new Promise(() => {}))
  const signing = sign()
  clock.tick(2_500)
  t.equal(await signing, first)

  clock.tick(2 * MINUTE)
  answerWith(async () => { throw new Error('still not') })
  await t.rejects(sign(), { message: /"signer" failed/ })
})

t.test('who gives up gets the reason for that, whatever is at hand', async t => {
  const { clock, sign, answerWith } = credentialOf()
  await sign()
  clock.tick(58 * MINUTE)
  answerWith(() => new Promise(() => {}))
  const leaving = new AbortController()
  const signing = sign(contextOf({ signal: leaving.signal }))
  leaving.abort(new Error('closing'))

  await t.rejects(signing, { message: 'closing' })
})

t.test('a refused assertion is dropped, unless it has been replaced', async t => {
  const { credential, sign, contexts } = credentialOf()
  const context = contextOf()
  const refused = await credential.authenticate(context)

  await credential.reload(refused, context)
  const second = await sign()
  t.equal(contexts.length, 2)
  await credential.reload(refused, context)
  t.equal(await sign(), second)
  await credential.reload({ clientSecret: 'x' }, context)
  t.equal(contexts.length, 2)
})
