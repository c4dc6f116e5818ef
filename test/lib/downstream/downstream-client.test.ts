import t from 'tap'
import { setUp } from '../../../lib/configuration/setup.ts'
import { DownstreamClient } from '../../../lib/downstream/downstream-client.ts'
import { Transport } from '../../../lib/downstream/transport.ts'
import { ConfiguredTokenAcquirer } from '../../../lib/tokens/token-acquirer.ts'
import type { PreparedRequest } from '../../../lib/tokens/token-request.ts'
import { engineOf } from '../../fixtures/engine.ts'
import { loggerOf } from '../../fixtures/identity-web.ts'
import { sessions } from '../../fixtures/sessions.ts'
import { answerJson, startRawServer } from '../../fixtures/raw-server.ts'

t.test('an API that is only ever called with overrides has its token request prepared once, until an override has a say in the token', async t => {
  const server = await startRawServer(t, (_, response) => answerJson(response, 200, {}))
  const azureAd = { instance: 'https://login.microsoftonline.com', tenantId: 'contoso.example', clientId: '22222222-2222-4222-8222-222222222222', clientSecret: 'secret' }
  const { configuration } = setUp({ azureAd, downstreamApis: { Api: { baseUrl: server.origin, scopes: ['api://todo/.default'] } } }, () => undefined)
  const prepared: PreparedRequest[] = []
  class Counting extends ConfiguredTokenAcquirer {
    override prepare (...args: Parameters<ConfiguredTokenAcquirer['prepare']>): PreparedRequest {
      prepared.push(super.prepare(...args))
      return prepared.at(-1)!
    }
  }
  const logger = loggerOf([])
  const transport = new Transport(undefined)
  t.teardown(() => transport.close())
  const client = new DownstreamClient({ configuration, acquirer: new Counting({ configuration, engine: engineOf().engine, sessions: sessions(), findCaller: undefined, logger }), transport, plans: new WeakMap() }, { logger })

  for (const relativePath of ['one', 'two', 'three']) await client.getForApp('Api', { relativePath })
  t.equal(prepared.length, 1)
  for (const tenant of ['fabrikam.example', 'adatum.example']) await client.getForApp('Api', { acquireTokenOptions: { tenant } })
  t.equal(prepared.length, 3)
  t.strictSame(server.requests.map(({ url }) => url), ['/one', '/two', '/three', '/', '/'])
})
