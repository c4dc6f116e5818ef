import t from 'tap'
import { ManagedIdentityAssertion, tokenExchangeUrlOf } from '../../../lib/credentials/managed-identity-assertion.ts'
import { contextOf, credentialServices } from '../../fixtures/credentials.ts'
import { tokenOf } from '../../fixtures/engine.ts'

type Services = ReturnType<typeof credentialServices>
type Wanted = Parameters<Services['managedIdentityToken']>

/** The credential, and what it asks for: a token with the number of the last forced one. */
function credentialOf (managedIdentityToken?: Services['managedIdentityToken'], tokenExchangeUrl = 'api://Exchange') {
  const wanted: Wanted[] = []
  let forced = 0
  const services = credentialServices({
    managedIdentityToken: managedIdentityToken ?? (async (...all) => {
      wanted.push(all)
      if (all[3] === true) forced++
      return tokenOf(`token ${forced}`, Date.now())
    })
  })
  return { wanted, lines: services.lines, credential: new ManagedIdentityAssertion({ identity: { userAssignedClientId: 'id' }, tokenExchangeUrl }, 'AzureAd.ClientCredentials[0]', services) }
}

t.test('the audience is that of the cloud of the app', async t => {
  t.equal(tokenExchangeUrlOf('https://login.microsoftonline.com/'), 'api://AzureADTokenExchange')
  t.equal(tokenExchangeUrlOf('https://login.microsoftonline.us/'), 'api://AzureADTokenExchangeUSGov')
  t.equal(tokenExchangeUrlOf('https://login.partner.microsoftonline.cn/'), 'api://AzureADTokenExchangeChina')
  t.equal(tokenExchangeUrlOf('http://localhost:3000/'), 'api://AzureADTokenExchange')
  t.equal(tokenExchangeUrlOf(undefined), 'api://AzureADTokenExchange')
})

t.test('the assertion is the token of the identity for the audience', async t => {
  const { credential, wanted } = credentialOf()
  const context = contextOf()

  t.strictSame(await credential.authenticate(context), { clientAssertion: 'token 0' })
  t.strictSame(wanted, [['api://Exchange/.default', { userAssignedClientId: 'id' }, context.signal, undefined]])
})

t.test('an audience that is written as a scope is the same', async t => {
  const { credential, wanted } = credentialOf(undefined, 'api://Exchange/.default')
  await credential.authenticate(contextOf())

  t.equal(wanted[0]?.[0], 'api://Exchange/.default')
})

t.test('after a refusal another token is acquired, unless there is another by then', async t => {
  const { credential, wanted } = credentialOf()
  const context = contextOf()
  const refused = await credential.authenticate(context)

  await credential.reload(refused, context)
  t.strictSame(await credential.authenticate(context), { clientAssertion: 'token 1' })
  await credential.reload(refused, context)
  t.strictSame(await credential.authenticate(context), { clientAssertion: 'token 1' })
  t.equal(wanted.filter(([,,, forceRefresh]) => forceRefresh === true).length, 1)
})

t.test('where no token can be acquired, the reason is that of the endpoint; after a refusal it is logged', async t => {
  const { credential, lines } = credentialOf(async () => { throw new Error('the endpoint is down') })

  await t.rejects(credential.authenticate(contextOf()), { message: 'the endpoint is down' })
  t.strictSame(lines, [])
  await t.rejects(credential.reload({ clientAssertion: 'a' }, contextOf()), { message: 'the endpoint is down' })
  t.match(lines, [{ level: 'warn', fields: { credential: 'AzureAd.ClientCredentials[0]' }, message: /no other could be acquired/ }])
})
