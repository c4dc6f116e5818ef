import t from 'tap'
import type { AppConfiguration } from '../../../lib/configuration/configuration.ts'
import { loadClientCredential } from '../../../lib/tokens/client-credential.ts'

const context = { clientId: 'c', tenantId: 't', tokenEndpoint: 'https://login.microsoftonline.com/t/oauth2/v2.0/token' }
const appWith = (clientCredentials: AppConfiguration['clientCredentials']) => ({ name: 'AzureAd', clientCredentials }) as AppConfiguration

t.test('the first credential that loads is the one', async t => {
  const credential = await loadClientCredential(appWith([
    { sourceType: 'ClientSecret', clientSecret: 'first', skip: true },
    { sourceType: 'ClientSecret', clientSecret: 'second' },
    { sourceType: 'ClientSecret', clientSecret: 'third' },
  ]))

  t.strictSame(await credential.authenticate(context), { clientSecret: 'second' })
})

t.test('when none loads, the error has one line for each, in order, and no secret', async t => {
  const app = appWith([
    { sourceType: 'ClientSecret', clientSecret: 'sEcReT', skip: true },
    { sourceType: 'StoreWithThumbprint', certificateThumbprint: 'sEcReT' },
  ])

  const error = await loadClientCredential(app).then(() => undefined, (error: Error) => error)

  t.match(error, { code: 'FST_IDW_CREDENTIAL_NOT_LOADED', statusCode: 500 })
  t.match(error?.message.split('\n'), [/"AzureAd"/, /^- AzureAd\.ClientCredentials\[0\] \(ClientSecret\): it is skipped$/, /^- AzureAd\.ClientCredentials\[1\] \(StoreWithThumbprint\): this version does not serve/])
  t.notMatch(error?.message, /sEcReT/)
})
