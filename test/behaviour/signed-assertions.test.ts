import t from 'tap'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CustomSignedAssertionContext } from '../../lib/credentials/custom-signed-assertion.ts'
import { TokenAcquirerFactory } from '../../lib/core.ts'
import { build, logOf } from '../fixtures/build.ts'
import { pending } from '../fixtures/engine.ts'
import { useEnvironment } from '../fixtures/environment.ts'
import { clientId, replaceFile, scope, sectionsOf, startFederation, tenantId } from '../fixtures/federation.ts'
import { loggerOf } from '../fixtures/identity-web.ts'

const todos = [{ id: 1 }]

t.test('a token in a file proves the app to Entra ID, and the API verifies the token that this gave', async t => {
  const federation = await startFederation(t)
  const path = join(t.testdir({ token: `${await federation.sign()}\n` }), 'token')
  const app = await build(t, { config: sectionsOf(federation, [{ SourceType: 'SignedAssertionFilePath', SignedAssertionFileDiskPath: path }]) })

  t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos)
  t.strictSame(federation.callers, [clientId])
  t.match(federation.requests, [{ grant_type: 'client_credentials', client_id: clientId, scope, path: `/${tenantId}/oauth2/v2.0/token` }])
})

t.test('while the platform rotates its key, the file and refuses what was signed before, no call fails', async t => {
  const federation = await startFederation(t)
  const path = join(t.testdir({ token: await federation.sign() }), 'token')
  const app = await build(t, { config: sectionsOf(federation, [{ SourceType: 'SignedAssertionFilePath', SignedAssertionFileDiskPath: path }]) })

  // One tenant for each call, so that each must acquire a token.
  const calls = Array.from({ length: 200 }, (_, index) => async () => {
    if (index === 60 || index === 140) await federation.rotate(assertion => replaceFile(path, assertion))
    return app.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { tenant: `tenant-${index}` } })
  })
  const outcomes: PromiseSettledResult<unknown>[] = []
  const workers = Array.from({ length: 20 }, async () => {
    for (let call = calls.shift(); call !== undefined; call = calls.shift()) outcomes.push(...await Promise.allSettled([call()]))
  })
  await Promise.all(workers)

  t.equal(outcomes.filter(({ status }) => status === 'rejected').length, 0)
  t.equal(federation.callers.length, 200)
})

t.test('a rotated file whose stale copy was sent is read again after the refusal, and asked with once more', async t => {
  const federation = await startFederation(t)
  const path = join(t.testdir({ token: await federation.sign() }), 'token')
  const app = await build(t, { config: sectionsOf(federation, [{ SourceType: 'SignedAssertionFilePath', SignedAssertionFileDiskPath: path }]) })
  await federation.rotate()

  const failed = app.downstreamApi.getForApp('MyWebApi')
  await t.rejects(failed, { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', errorCodes: [700027] })
  t.equal(federation.requests.length, 2, 'asked twice, and no more')
  replaceFile(path, await federation.sign())
  t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos)
})

t.test('each way in which a file can be wrong is told, and nothing is sent', async t => {
  const federation = await startFederation(t)
  const folder = t.testdir({ folder: {}, text: 'not a token', ended: await federation.sign({ life: -1000 }), huge: 'x'.repeat(70_000) })
  const { log, lines } = logOf()
  for (const [name, reason] of [['missing', /cannot be read \(ENOENT\)/], ['folder', /(is no file|cannot be read)/], ['text', /does not hold one signed token/], ['ended', /the token in the file has ended:/], ['huge', /is larger than 65536 bytes/]] as const) {
    const app = await build(t, { config: sectionsOf(federation, [{ SourceType: 'SignedAssertionFilePath', SignedAssertionFileDiskPath: join(folder, name) }]) }, () => {}, log)

    await t.rejects(app.downstreamApi.getForApp('MyWebApi'), { code: 'FST_IDW_CREDENTIAL_NOT_LOADED', message: reason }, name)
  }
  t.strictSame(federation.requests, [])
  t.notMatch(JSON.stringify(lines), /eyJ/)
})

t.test('a cached token is served while the credential is broken', async t => {
  const federation = await startFederation(t)
  const path = join(t.testdir({ token: await federation.sign() }), 'token')
  const app = await build(t, { config: sectionsOf(federation, [{ SourceType: 'SignedAssertionFilePath', SignedAssertionFileDiskPath: path }]) })
  await app.downstreamApi.getForApp('MyWebApi')

  rmSync(path)
  await federation.rotate()
  for (let call = 0; call < 3; call++) t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos)
  t.equal(federation.requests.length, 1)
})

t.test('the token of a managed identity proves the app, and is itself cached', async t => {
  const federation = await startFederation(t)
  useEnvironment(t, federation.identityEnvironment)
  const identity = '44444444-4444-4444-8444-444444444444'
  const app = await build(t, { config: sectionsOf(federation, [{ SourceType: 'SignedAssertionFromManagedIdentity', ManagedIdentityClientId: identity }]) })

  t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos)
  t.strictSame(await app.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { tenant: 'another' } }), todos)
  t.strictSame(federation.callers, [clientId, clientId])
  t.strictSame(federation.identityRequests.map(query => [query.get('resource'), query.get('client_id')]), [['api://AzureADTokenExchange', identity]])
  t.match(app.tokenAcquirer.diagnostics().map(({ flow, clientId }) => ({ flow, clientId })), [{ flow: 'clientCredentials', clientId }, { flow: 'managedIdentity', clientId: identity }, { flow: 'clientCredentials', clientId }])
})

t.test('a refused token of a managed identity is acquired anew, past the cache', async t => {
  const federation = await startFederation(t)
  useEnvironment(t, federation.identityEnvironment)
  const { AzureAd, MyWebApi } = sectionsOf(federation, [])
  const app = await build(t, { config: { AzureAd: { ...AzureAd, ClientCredentialsUsingManagedIdentity: { IsEnabled: true } }, MyWebApi } })
  await app.downstreamApi.getForApp('MyWebApi')

  await federation.rotate()
  const calls = Array.from({ length: 20 }, (_, index) => app.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { tenant: `tenant-${index}` } }))
  t.strictSame(await Promise.all(calls), calls.map(() => todos))
  t.equal(federation.identityRequests.length, 2)
  t.equal(federation.identityRequests[1]?.get('client_id'), null)
})

t.test('where a refused token of a managed identity cannot be acquired anew, the refusal is the error', async t => {
  const federation = await startFederation(t)
  useEnvironment(t, federation.identityEnvironment)
  const { log, lines } = logOf()
  const app = await build(t, { config: sectionsOf(federation, [{ SourceType: 'SignedAssertionFromManagedIdentity' }]) }, () => {}, log)
  await app.downstreamApi.getForApp('MyWebApi')

  await federation.rotate()
  federation.breakIdentities(400)
  await t.rejects(app.tokenAcquirer.getTokenForApp(scope, { forceRefresh: true }), { code: 'FST_IDW_TOKEN_ACQUISITION_FAILED', errorCodes: [700027] })
  t.equal(federation.requests.length, 2)
  t.match(lines.filter(({ level }) => level === 40), [{ credential: 'AzureAd.ClientCredentials[0]', msg: /no other could be acquired/ }])
})

t.test('where the managed identity endpoint is down, the next credential proves the app; when it is back, the first does again', async t => {
  const federation = await startFederation(t)
  useEnvironment(t, federation.identityEnvironment)
  federation.breakIdentities(400)
  const path = join(t.testdir({ token: await federation.sign() }), 'token')
  const app = await build(t, { config: sectionsOf(federation, [{ SourceType: 'SignedAssertionFromManagedIdentity' }, { SourceType: 'SignedAssertionFilePath', SignedAssertionFileDiskPath: path }]) })

  t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos)
  t.equal(federation.identityRequests.length, 1)
  federation.breakIdentities(undefined)
  t.strictSame(await app.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { tenant: 'another' } }), todos)
  t.equal(federation.identityRequests.length, 2)
  t.equal(new Set(federation.requests.map(({ client_assertion: assertion }) => assertion)).size, 2)
})

t.test('where no credential can be used, each has its reason', async t => {
  const federation = await startFederation(t)
  useEnvironment(t, federation.identityEnvironment)
  federation.breakIdentities(400)
  const app = await build(t, {
    config: sectionsOf(federation, [{ SourceType: 'SignedAssertionFromManagedIdentity' }, { SourceType: 'SignedAssertionFilePath' }, { SourceType: 'CustomSignedAssertion', CustomSignedAssertionProviderName: 'signer' }]),
    customSignedAssertionProviders: { signer: async () => { throw new Error('the key is hunter2') } },
  })

  const error = await app.downstreamApi.getForApp('MyWebApi').then(() => undefined, (error: Error) => error)
  t.match(error, { code: 'FST_IDW_CREDENTIAL_NOT_LOADED' })
  t.match(error?.message, /\[0\] \(SignedAssertionFromManagedIdentity\): No token: .*400/)
  t.match(error?.message, /\[1\] \(SignedAssertionFilePath\): there is no SignedAssertionFileDiskPath/)
  t.match(error?.message, /\[2\] \(CustomSignedAssertion\): the provider "signer" failed; see the cause$/)
  t.notMatch(error?.message, /hunter2/)
})

t.test('a function of the application signs, with the data of its credential, once for all who wait', async t => {
  const federation = await startFederation(t)
  const contexts: CustomSignedAssertionContext[] = []
  const data = { key: 'todo', nested: { deep: true } }
  const customSignedAssertionProviders = {
    signer: async (context: CustomSignedAssertionContext) => {
      contexts.push(context)
      return federation.sign()
    }
  }
  const config = sectionsOf(federation, [{ SourceType: 'CustomSignedAssertion', CustomSignedAssertionProviderName: 'signer', CustomSignedAssertionProviderData: data }])
  const app = await build(t, { config, customSignedAssertionProviders })

  t.strictSame(await Promise.all(Array.from({ length: 20 }, () => app.downstreamApi.getForApp('MyWebApi'))), Array.from({ length: 20 }, () => todos))
  t.match(contexts, [{ clientId, tenantId, tokenEndpoint: `${federation.origin}/${tenantId}/oauth2/v2.0/token`, data, signal: AbortSignal }])
  t.equal(contexts.length, 1)
  t.ok(Object.isFrozen(contexts[0]?.data['nested']))
  await federation.rotate()
  t.ok(await app.tokenAcquirer.getTokenForApp(scope, { forceRefresh: true }))
  t.equal(contexts.length, 2, 'a refused one is dropped')

  const factory = TokenAcquirerFactory.getDefaultInstance({ config, customSignedAssertionProviders, logger: loggerOf([]) })
  t.teardown(() => factory.close())
  t.strictSame(await factory.downstreamApi.getForApp('MyWebApi'), todos)
})

t.test('SignedAssertionFromVault is what a function of the application makes it', async t => {
  const federation = await startFederation(t)
  const app = await build(t, { config: sectionsOf(federation, [{ SourceType: 'SignedAssertionFromVault', CustomSignedAssertionProviderName: 'vault' }]), customSignedAssertionProviders: { vault: () => federation.sign() } })

  t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos)
})

t.test('a provider that gives nothing is passed over, and one that hangs leaves time for the next', async t => {
  const federation = await startFederation(t)
  const custom = (CustomSignedAssertionProviderName: string) => ({ SourceType: 'CustomSignedAssertion', CustomSignedAssertionProviderName })
  let aborted = 0
  const app = await build(t, {
    config: sectionsOf(federation, [custom('empty'), custom('hanging'), custom('signer')]),
    tokenTimeout: 1_000,
    customSignedAssertionProviders: {
      empty: async () => '',
      hanging: ({ signal }) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => {
        aborted++
        reject(new Error('ended'))
      })),
      signer: () => federation.sign(),
    },
  })

  t.strictSame(await app.downstreamApi.getForApp('MyWebApi'), todos)
  await app.close()
  t.equal(federation.callers.length, 1)
  t.ok(aborted <= 1)
})

t.test('a provider that hangs until the deadline is the reason, and not Entra ID', async t => {
  const federation = await startFederation(t)
  const app = await build(t, {
    config: sectionsOf(federation, [{ SourceType: 'CustomSignedAssertion', CustomSignedAssertionProviderName: 'hanging' }]),
    tokenTimeout: 200,
    customSignedAssertionProviders: { hanging: () => new Promise(() => {}) },
  })

  await t.rejects(app.downstreamApi.getForApp('MyWebApi'), { code: 'FST_IDW_CREDENTIAL_NOT_LOADED', message: /\(CustomSignedAssertion\): it took longer than 160 ms/ })
})

t.test('closing ends a provider that is at work', async t => {
  const federation = await startFederation(t)
  const started = pending<AbortSignal>()
  const app = await build(t, {
    config: sectionsOf(federation, [{ SourceType: 'CustomSignedAssertion', CustomSignedAssertionProviderName: 'hanging' }]),
    customSignedAssertionProviders: {
      hanging: ({ signal }) => {
        started.resolve(signal)
        return new Promise(() => {})
      }
    },
  })
  const call = t.rejects(app.downstreamApi.getForApp('MyWebApi'), { message: /the application is closing/ })
  const signal = await started.promise
  await app.close()
  await call
  t.ok(signal.aborted)
})

t.test('a name that no provider has fails the start', async t => {
  const federation = await startFederation(t)
  const config = sectionsOf(federation, [{ SourceType: 'CustomSignedAssertion', CustomSignedAssertionProviderName: 'Singer' }])

  await t.rejects(build(t, { config, customSignedAssertionProviders: { signer: async () => '' } }), { code: 'FST_IDW_CONFIG_INVALID', message: /CustomSignedAssertionProviderName: there is no provider "Singer" .* which has "signer"; did you mean "signer"\?/ })
  await t.rejects(build(t, { config }), { code: 'FST_IDW_CONFIG_INVALID', message: /the option customSignedAssertionProviders is empty/ })
})

t.test('a file that is half written while its token is still valid fails no call, and is told once', async t => {
  const federation = await startFederation(t)
  const path = join(t.testdir({ token: await federation.sign() }), 'token')
  const { log, lines } = logOf()
  const app = await build(t, { config: sectionsOf(federation, [{ SourceType: 'SignedAssertionFilePath', SignedAssertionFileDiskPath: path }]) }, () => {}, log)
  await app.downstreamApi.getForApp('MyWebApi')

  writeFileSync(path, (await federation.sign()).slice(0, 50))
  for (const tenant of ['one', 'two', 'three']) t.strictSame(await app.downstreamApi.getForApp('MyWebApi', { acquireTokenOptions: { tenant } }), todos)
  const warnings = lines.filter(({ level }) => level === 40)
  t.match(warnings, [{ credential: 'AzureAd.ClientCredentials[0]', reason: /does not hold one signed token/ }])
  t.equal(warnings.length, 1)
})
