import t from 'tap'
import { inspect } from 'node:util'
import fastify from 'fastify'
import { MockAgent } from 'undici'
import { parseOptions } from '../../../lib/configuration/schema.ts'
import type { ConfigurationError } from '../../../lib/errors.ts'
import identityWeb from '../../../plugins/index.ts'

function faultsOf (options: unknown): readonly string[] {
  try {
    parseOptions(options)
    return []
  } catch (error) {
    return (error as ConfigurationError).faults
  }
}

t.test('options that are not given have their defaults', async t => {
  const defaults = { tokenCache: { maxEntries: 10_000, storeManagedIdentities: false }, tokenTimeout: 10_000, prewarm: false, prewarmFailure: 'fail' }

  for (const options of [undefined, null, {}, { tokenCache: {}, azureAd: undefined }, { prefix: '/x', logLevel: 'warn', logSerializers: {} }]) t.strictSame(parseOptions(options), defaults)
})

t.test('options that are given are taken, whatever the letter case of their keys', async t => {
  const dispatcher = new MockAgent()
  t.teardown(() => dispatcher.close())
  const config = { AzureAd: {} }
  const options = parseOptions({ config, appSettings: false, AzureAd: 'Other', downstreamAPIs: ['MyWebApi'], tokenCache: { MaxEntries: 5 }, tokenTimeout: '500', dispatcher, identityDispatcher: dispatcher })

  t.match(options, { appSettings: false, azureAd: 'Other', downstreamApis: ['MyWebApi'], tokenCache: { maxEntries: 5 }, tokenTimeout: 500 })
  t.equal(options.config, config)
  t.equal(options.dispatcher, dispatcher)
  t.equal(options.identityDispatcher, dispatcher)
  t.match(parseOptions({ appSettings: 'settings/' }), { appSettings: 'settings/' })
})

t.test('every fault of the options is told at once, with its key path, and the key that was meant', async t => {
  t.strictSame(faultsOf({ config: 'text', appSettings: false, azureAd: '', downstreamApis: [''], tokenCache: { maxEntires: 5, maxEntries: 0 }, tokenTimeuot: 5, tokenTimeout: 0, dispatcher: {}, identityDispatcher: 7, cheese: true }).toSorted(), [
    'options.azureAd: expected the name of a section, or its options',
    'options.cheese: unknown key',
    'options.config: expected an object',
    'options.dispatcher: expected an undici Dispatcher',
    'options.downstreamApis: expected a list of section names, or an object with a section name or options for each service name',
    'options.identityDispatcher: expected an undici Dispatcher',
    'options.tokenCache.maxEntires: unknown key, did you mean maxEntries?',
    'options.tokenCache.maxEntries: expected at least 1',
    'options.tokenTimeout: expected at least 1 ms',
    'options.tokenTimeuot: unknown key, did you mean tokenTimeout?',
  ])
})

t.test('options of a wrong shape are faults', async t => {
  for (const [options, message] of [
    [7, /^options: expected an object$/], ['text', /^options: expected an object$/], [[], /^options: expected an object$/],
    [{ appSettings: '' }, /^options\.appSettings: expected text that is not empty$/], [{ appSettings: 7 }, /^options\.appSettings: expected true, false or a path$/],
    [{ config: {}, appSettings: true }, /^options: give either config or appSettings$/],
    [{ config: {}, appSettings: './' }, /^options: give either config or appSettings$/],
    [{ downstreamApis: 'MyWebApi' }, /^options\.downstreamApis: expected a list/], [{ downstreamApis: [7] }, /^options\.downstreamApis: /], [{ downstreamApis: { a: '' } }, /^options\.downstreamApis: /], [{ downstreamApis: { a: 7 } }, /^options\.downstreamApis: /],
    [{ azureAd: [] }, /^options\.azureAd: /], [{ azureAd: 7 }, /^options\.azureAd: /], [{ config: [] }, /^options\.config: /], [{ dispatcher: 'x' }, /^options\.dispatcher: /],
    [{ customSignedAssertionProviders: { signer: 'x' } }, /^options\.customSignedAssertionProviders\.signer: expected a function$/], [{ customSignedAssertionProviders: [] }, /^options\.customSignedAssertionProviders: expected an object$/],
    [{ tokenCache: [] }, /^options\.tokenCache: expected an object$/], [{ tokenCache: { maxEntries: 1.5 } }, /^options\.tokenCache\.maxEntries: expected a whole number$/], [{ tokenCache: { maxEntries: 'x' } }, /^options\.tokenCache\.maxEntries: expected a number$/],
    [JSON.parse('{"__proto__":{}}'), /^options\.__proto__: this key is not allowed$/], [{ constructor: {} }, /^options\.constructor: this key is not allowed$/],
  ] as [unknown, RegExp][]) t.match(faultsOf(options), [message], inspect(options))
})

t.test('no value of an option is in a fault', async t => {
  for (const options of [{ config: 'sEcReT' }, { azureAd: ['sEcReT'] }, { downstreamApis: [{ clientSecret: 'sEcReT' }] }, { tokenTimeout: 'sEcReT' }, { tokenCache: 'sEcReT' }, { appSettings: { clientSecret: 'sEcReT' } }, { clientSecret: 'sEcReT' }]) {
    t.notMatch(inspect(faultsOf(options)), /sEcReT/)
  }
})

t.test('faults of options given in code name them, and fail ready', async t => {
  const app = fastify()
  t.teardown(() => app.close())
  app.register(identityWeb, { azureAd: { instance: 'https://evil.example/', tenantId: 'sEcReT/', clientId: 'app', clientSecrt: 'sEcReT' } as never, downstreamApis: { Api: { baseUrl: 'http://api.example', timeout: 0 } } })

  const error = await app.ready().then(() => undefined, (error: ConfigurationError) => error)

  t.equal(error?.code, 'FST_IDW_CONFIG_INVALID')
  t.strictSame(error?.faults.map(fault => fault.split(': ')[0]).sort(), ['options.azureAd.clientSecrt', 'options.azureAd.instance', 'options.azureAd.tenantId', 'options.downstreamApis.Api.baseUrl', 'options.downstreamApis.Api.timeout'])
  for (const fault of error?.faults ?? []) t.ok(error?.message.includes(fault))
  t.notMatch(inspect(error), /sEcReT/)
})

t.test('faults of the plugin\'s own options and of the sections are told at once', async t => {
  for (const [options, expected] of [
    [{ tokenTimeuot: 5, config: { MyWebApi: { BaseUrl: 'http://api.example' } } }, [/^options\.tokenTimeuot: /, /^MyWebApi\.BaseUrl: /]],
    [{ tokenTimeout: 0, azureAd: { instanc: 'x' } }, [/^options\.tokenTimeout: /, /^options\.azureAd\.instanc: /]],
    [{ tokenTimeout: 0, appSettings: './nowhere' }, [/^options\.tokenTimeout: /, /nowhere: there is no such file/]],
    [{ tokenTimeout: 0, DownstreamApis: 'MyWebApi', config: { MyWebApi: {} } }, [/^options\.DownstreamApis: /, /^options\.tokenTimeout: /]],
    [{ config: { MyWebApi: { BaseUrl: 'x' } }, appSettings: true }, [/^options: give either config or appSettings$/]],
    [7, [/^options: expected an object$/]],
  ] as [unknown, RegExp[]][]) {
    const app = fastify()
    t.teardown(() => app.close())
    app.register(identityWeb, options as never)

    const error = await app.ready().then(() => undefined, (error: ConfigurationError) => error)

    t.equal(error?.code, 'FST_IDW_CONFIG_INVALID')
    t.equal(error?.faults.length, expected.length)
    for (const message of expected) t.ok(error?.faults.some(fault => message.test(fault)), `${message}`)
  }
})

t.test('what is thrown while the sections are read is not taken for a fault of them', async t => {
  const app = fastify()
  t.teardown(() => app.close())
  app.register(identityWeb, { config: { get AzureAd (): never { throw new Error('the vault is sealed') } } })

  await t.rejects(async () => app.ready(), { message: 'the vault is sealed' })
})
