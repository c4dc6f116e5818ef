import t from 'tap'
import { build, logOf } from '../fixtures/build.ts'
import { clientId, secret, tenantId } from '../fixtures/todo-api.ts'

t.test('what the configuration holds in vain is logged as a warning, once', async t => {
  const { log, lines } = logOf()
  const AzureAd = { Instance: 'https://login.microsoftonline.com/', TenantId: tenantId, Authority: 'https://login.microsoftonline.com/common', ClientId: clientId, ClientSecret: secret }

  await build(t, { config: { AzureAd }, downstreamApis: {} }, () => {}, log)

  const warnings = lines.filter(({ level }) => level === 40)
  t.equal(warnings.length, 1)
  t.match(warnings[0], { msg: 'configuration warning', configuration: /Authority/ })
})

t.test('what the code of a route\'s options throws is not taken for a fault of the configuration', async t => {
  const reason = new Error('not ready')
  const options = { get relativePath (): string { throw reason } }
  await t.rejects(async () => build(t, { downstreamApis: { Api: { baseUrl: 'https://api.example/' } } }, app => {
    app.get('/', { config: { downstreamApi: { Api: options } } }, () => '')
  }), reason)
})
