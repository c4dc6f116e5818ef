import t from 'tap'
import type { AppConfiguration } from '../../../lib/configuration/configuration.ts'
import { ClientCredentials } from '../../../lib/credentials/client-credentials.ts'
import { ConfigurationError } from '../../../lib/errors.ts'
import { clientCredentials, contextOf, credentialServices } from '../../fixtures/credentials.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'

const appWith = (clientCredentials: AppConfiguration['clientCredentials']) => ({ name: 'AzureAd', clientCredentials }) as AppConfiguration

t.test('the first credential that loads is the one', async t => {
  const { authentication, reload } = await clientCredentials().prove(appWith([
    { sourceType: 'ClientSecret', clientSecret: 'first', skip: true },
    { sourceType: 'ClientSecret', clientSecret: 'second' },
    { sourceType: 'ClientSecret', clientSecret: 'third' },
  ]), contextOf())

  t.strictSame(authentication, { clientSecret: 'second' })
  t.equal(reload, undefined, 'a secret cannot become another')
})

t.test('when none loads, the error has one line for each, in order, and no secret', async t => {
  const app = appWith([
    { sourceType: 'ClientSecret', clientSecret: 'sEcReT', skip: true },
    { sourceType: 'StoreWithThumbprint', certificateThumbprint: 'sEcReT', skip: true },
  ])

  const error = await clientCredentials().prove(app, contextOf()).then(() => undefined, (error: Error) => error)

  t.match(error, { code: 'FST_IDW_CREDENTIAL_NOT_LOADED', statusCode: 500 })
  t.match(error?.message.split('\n'), [/"AzureAd"/, /^- AzureAd\.ClientCredentials\[0\] \(ClientSecret\): it is skipped$/, /^- AzureAd\.ClientCredentials\[1\] \(StoreWithThumbprint\): it is skipped$/])
  t.notMatch(error?.message, /sEcReT/)
})

t.test('the faults of an identity that the platform cannot select are one reason, in one line', async t => {
  const credentials = clientCredentials({ managedIdentityToken: async () => { throw new ConfigurationError(['one', 'another']) } })

  const error = await credentials.prove(appWith([{ sourceType: 'SignedAssertionFromManagedIdentity' }]), contextOf()).then(() => undefined, (error: Error) => error)
  t.equal(error?.message, 'No client credential of the section "AzureAd" could be loaded:\n- AzureAd.ClientCredentials[0] (SignedAssertionFromManagedIdentity): one; another')
})

t.test('who gives up gets the reason for that, whatever the file of a workload identity holds', async t => {
  const ended = new AbortController()
  ended.abort(new Error('closing'))

  await t.rejects(clientCredentials().proveWorkload('/no/such/file', contextOf({ signal: ended.signal })), { message: 'closing' })
})

t.test('when several cannot be used, the causes are those of all', async t => {
  const app = appWith([
    { sourceType: 'Base64Encoded', base64EncodedValue: 'AAAA' },
    { sourceType: 'Path', certificateDiskPath: '/nowhere/a.pem' },
  ])

  const error = await clientCredentials().prove(app, contextOf()).then(() => undefined, (error: Error) => error)

  t.match(error?.cause, { errors: [{ message: /^there is no certificate in it/ }, { message: /^there is no such file/ }] })
})

t.test('of several that give no answer, each leaves time for the next, and the last for telling what was wrong', async t => {
  const never = { sourceType: 'CustomSignedAssertion' as const, customSignedAssertionProviderName: 'never' }
  const proveWith = async (list: Parameters<typeof appWith>[0]) => {
    const clock = new FakeClock()
    const proof = clientCredentials({ clock, customSignedAssertionProviders: { never: () => new Promise(() => {}) }, managedIdentityToken: () => new Promise(() => {}) }).prove(appWith(list), contextOf())
    // The code of the credentials is loaded first.
    await clock.awaited()
    return { clock, proof }
  }

  const three = await proveWith([never, never, { sourceType: 'ClientSecret', clientSecret: 'third' }])
  await three.clock.advance(7_500)
  t.match(await three.proof, { authentication: { clientSecret: 'third' } })

  const two = await proveWith([never, { sourceType: 'SignedAssertionFromManagedIdentity' }])
  const failure = two.proof.catch((error: Error) => error)
  await two.clock.advance(9_000)
  t.match(await failure, { code: 'FST_IDW_CREDENTIAL_NOT_LOADED', message: /\(CustomSignedAssertion\): it took longer than 5000 ms\n.*\(SignedAssertionFromManagedIdentity\): it took longer than 4000 ms$/ })
})

t.test('what the closing of the application ends while it is loaded ahead is not told', async t => {
  const closing = new AbortController()
  const services = credentialServices({ closed: closing.signal })
  const loading = new ClientCredentials(services).loadAhead([appWith([{ sourceType: 'Path', certificateDiskPath: '/nowhere/a.pem' }])])
  closing.abort(new Error('the application is closing'))
  await loading

  t.strictSame(services.lines, [])
})
