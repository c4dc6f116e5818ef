import t from 'tap'
import type { AppConfiguration } from '../../../lib/configuration/configuration.ts'
import { createCredential } from '../../../lib/credentials/create-credential.ts'
import { credentialServices } from '../../fixtures/credentials.ts'

t.test('what Node cannot serve, and the configuration refuses unless it is skipped, becomes no credential', async t => {
  t.throws(() => createCredential({ sourceType: 'StoreWithThumbprint' }, { name: 'AzureAd' } as AppConfiguration, 'AzureAd.ClientCredentials[0]', credentialServices()), { message: 'Node cannot serve the source type' })
})
