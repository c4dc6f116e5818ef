import t from 'tap'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { loadAppSettings, type LoadAppSettingsOptions } from '../../../lib/configuration/app-settings.ts'
import { parseConfiguration } from '../../../lib/configuration/configuration.ts'
import type { ConfigurationError } from '../../../lib/errors.ts'

const { stringify } = JSON
/** Without the variables of this process. */
const load = (path: string, { env = {}, ...options }: LoadAppSettingsOptions = {}) => loadAppSettings({ path, env, ...options })

function faultsOf (path: string, options?: LoadAppSettingsOptions): readonly string[] {
  try {
    load(path, options)
    return []
  } catch (error) {
    if ((error as ConfigurationError).code !== 'FST_IDW_CONFIG_INVALID') throw error
    return (error as ConfigurationError).faults
  }
}

t.test('appsettings.json may hold comments, trailing commas and a byte order mark', async t => {
  const folder = t.testdir({
    'appsettings.json': `\ufeff// of the team
{
  /* the app,
     as registered */
  "AzureAd": { "TenantId": "contoso", }, // no secret here: "ClientSecret"
  "Urls": ["https://a.example/", "https://b.example/",],
}
`
  })

  t.strictSame(load(folder), { AzureAd: { TenantId: 'contoso' }, Urls: ['https://a.example/', 'https://b.example/'] })
})

t.test('path is the file or its folder', async t => {
  const folder = t.testdir({ 'appsettings.json': '{"from":"folder"}', 'other.json': '{"from":"file"}', 'other.Test.json': '{"environment":"Test"}' })

  t.strictSame(load(folder), { from: 'folder' })
  t.strictSame(load(`${folder}/`), { from: 'folder' })
  t.strictSame(load(join(folder, 'appsettings.json')), { from: 'folder' })
  t.strictSame(load(join(folder, 'other.json'), { environment: 'test' }), { from: 'file', environment: 'Test' })
})

t.test('the file of the environment is found in any letter case, the exact one first', async t => {
  const one = t.testdir({ lower: { 'appsettings.json': '{"a":1,"b":1}', 'APPSettings.production.JSON': '{"b":2}' }, both: { 'appsettings.json': '{}', 'appsettings.Production.json': '{"exact":"Production"}', 'appsettings.production.json': '{"exact":"production"}' } })

  for (const environment of ['production', 'Production', 'PRODUCTION']) t.strictSame(load(join(one, 'lower'), { environment }), { a: 1, b: 2 }, environment)
  for (const environment of ['production', 'Production']) t.strictSame(load(join(one, 'both'), { environment }), { exact: environment })
  for (const environment of ['', 'Staging', '../lower/appsettings.production']) t.strictSame(load(join(one, 'lower'), { environment }), { a: 1, b: 1 }, `no file for "${environment}"`)
})

t.test('the environment is NODE_ENV, of the variables that are given', async t => {
  const folder = t.testdir({ 'appsettings.json': '{"a":1}', 'appsettings.Development.json': '{"a":2}' })

  t.strictSame(load(folder, { env: { NODE_ENV: 'development' } }), { a: 2 })
  t.strictSame(load(folder, { env: { NODE_ENV: 'development' }, environment: 'test' }), { a: 1 })
})

t.test('the working directory, NODE_ENV and the variables of the process are the defaults', async t => {
  const folder = t.testdir({ 'appsettings.json': '{"MyWebApi":{"Timeout":1}}', 'appsettings.Staging.json': '{"from":"staging"}' })
  const before = { cwd: process.cwd(), environment: process.env['NODE_ENV'] }
  t.teardown(() => {
    process.chdir(before.cwd)
    delete process.env['MyWebApi__Timeout']
    if (before.environment === undefined) delete process.env['NODE_ENV']
    else process.env['NODE_ENV'] = before.environment
  })
  process.chdir(folder)
  process.env['NODE_ENV'] = 'staging'
  process.env['MyWebApi__Timeout'] = '2'

  t.match(loadAppSettings(), { from: 'staging', MyWebApi: { Timeout: '2' } })
})

t.test('what comes later wins, per key in any letter case, and lists merge by index, as in .NET', async t => {
  const folder = t.testdir({
    'appsettings.json': stringify({ AzureAd: { Instance: 'one', TenantId: 'one', ClientId: 'one' }, Api: { Scopes: ['a', 'b'], Query: { x: 1 } }, Kept: { a: 1 }, Replaced: { a: 1 } }),
    'appsettings.Test.json': stringify({ AZUREAD: { tenantid: 'two', clientId: 'two' }, Api: { Scopes: ['c'], Query: ['list'] }, Replaced: 'text' }),
  })
  const settings = load(folder, { environment: 'Test', env: { AzureAd__clientid: 'three', 'Api:Scopes:1': 'd', API__NEW: 'e' } })

  t.strictSame(settings, {
    AzureAd: { Instance: 'one', TenantId: 'two', ClientId: 'three' },
    Api: { Scopes: ['c', 'd'], Query: { x: 1, 0: 'list' }, NEW: 'e' },
    Kept: { a: 1 },
    Replaced: 'text',
  })
})

t.test('a list that is written by index in the second file is a list', async t => {
  const folder = t.testdir({ 'appsettings.json': stringify({ Scopes: ['a', 'b'], Mixed: ['a'] }), 'appsettings.Test.json': stringify({ Scopes: { 1: 'c' }, Mixed: { key: 'b' } }) })

  t.strictSame(load(folder, { environment: 'test' }), { Scopes: ['a', 'c'], Mixed: { 0: 'a', key: 'b' } })
})

t.test('environment variables make sections and lists, whatever stands in their place', async t => {
  const folder = t.testdir({ 'appsettings.json': stringify({ AzureAd: 'text', Scopes: ['a'], Json: '{"a":1}', Broken: '{"a"' }) })
  const env = {
    AzureAd__ClientCredentials__0__SourceType: 'ClientSecret',
    AzureAd__ClientCredentials__0__ClientSecret: 'from the environment',
    AzureAd__ClientCredentials__1__Skip: 'true',
    Scopes__named: 'b',
    Json__b: '2',
    Broken__b: '2',
    New__1000: 'no index',
    AzureAd__Absent: undefined,
  }

  t.strictSame(load(folder, { env }), {
    AzureAd: { ClientCredentials: [{ SourceType: 'ClientSecret', ClientSecret: 'from the environment' }, { Skip: 'true' }] },
    Scopes: { 0: 'a', named: 'b' },
    Json: { a: 1, b: '2' },
    Broken: '{"a"',
    New: { 1000: 'no index' },
  })
})

t.test('variables that name no value inside a section are left alone', async t => {
  const folder = t.testdir({ 'appsettings.json': '{}' })

  t.strictSame(load(folder, { env: { PATH: '/bin', _x__y: '1', __z: '1', 'npm_config__auth:token': 'x', AzureAd: '{}', AzureAd__: 'x', '=C:': 'x' } }), {})
})

t.test('the settings that are loaded are what the configuration is made from', async t => {
  const folder = t.testdir({ 'appsettings.json': stringify({ AzureAd: { Instance: 'https://login.microsoftonline.com/', TenantId: 'contoso', ClientId: 'app', ClientCredentials: [{ SourceType: 'ClientSecret' }] }, MyWebApi: { BaseUrl: 'https://api.example/', Scopes: ['a/.default'] } }) })
  const { app, apis } = parseConfiguration({ source: load(folder, { env: { AzureAd__ClientCredentials__0__ClientSecret: 's', MyWebApi__RequestAppToken: 'true', MyWebApi__AcquireTokenOptions__ManagedIdentity: '{}' } }) })

  t.match(app(), { clientCredentials: [{ sourceType: 'ClientSecret', clientSecret: 's' }] })
  t.match(apis.get('MyWebApi'), { requestAppToken: true, acquireTokenOptions: { managedIdentity: {} } })
})

t.test('a file that is missing is named, with what to do', async t => {
  const folder = t.testdir({})

  for (const path of [folder, join(folder, 'appsettings.json')]) t.strictSame(faultsOf(path), [`${join(folder, 'appsettings.json')}: there is no such file; create it, or set path to the file or its folder`])
  t.match(faultsOf(join(folder, 'nowhere')), [/nowhere: there is no such file/])
})

t.test('a file that is broken is named, with line and column, and without what stands there', async t => {
  for (const [text, where] of [
    ['{\n  "ClientSecret": "sEcReT"\n  "b": 1\n}', /appsettings\.json: not JSON at line 3, column 3 \(CommaExpected\)$/],
    ['{ "ClientSecret": sEcReT }', /appsettings\.json: not JSON at line 1, column 19 \(InvalidSymbol\)$/],
    ['{ "ClientSecret": "sEcReT', /appsettings\.json: not JSON at line 1, column \d+ \(UnexpectedEndOfString\)$/],
    ['', /appsettings\.json: not JSON at line 1, column 1 \(ValueExpected\)$/],
    ['["sEcReT"]', /appsettings\.json: expected an object$/],
    ['"sEcReT"', /appsettings\.json: expected an object$/],
    ['null', /appsettings\.json: expected an object$/],
  ] as const) {
    const faults = faultsOf(t.testdir({ 'appsettings.json': text }))
    t.match(faults, [where], text)
    t.equal(faults.length, 1)
    t.notMatch(inspect(faults), /sEcReT/)
  }
})

t.test('a file that cannot be read is named', async t => {
  const folder = t.testdir({})
  mkdirSync(join(folder, 'appsettings.json'))

  t.match(faultsOf(folder), [/appsettings\.json: cannot be read \(EISDIR\)$/])
})

t.test('keys that reach for a prototype are refused in files and in variables, and reach nothing', async t => {
  for (const json of ['{"a":{\n"__proto__":{"polluted":1}}}', '{"a":{\n"__pr\\u006fto__":{"polluted":1}}}', '{\n"constructor":{"prototype":{"polluted":1}}}', '{"a":[{\n"Prototype":1}]}']) {
    t.match(faultsOf(t.testdir({ 'appsettings.json': json })), [/appsettings\.json: the key \w+ in line 2 is not allowed$/], json)
    t.match(faultsOf(t.testdir({ 'appsettings.json': '{"a":{}}', 'appsettings.Test.json': json }), { environment: 'test' }), [/appsettings\.Test\.json: the key \w+ in line 2 is not allowed$/], json)
  }
  const folder = t.testdir({ 'appsettings.json': '{}' })
  for (const name of ['AzureAd____proto____polluted', 'AzureAd__constructor__prototype__polluted', 'constructor__prototype__polluted', 'AzureAd:__proto__:polluted', 'AzureAd__PROTOTYPE']) {
    t.strictSame(faultsOf(folder, { env: { [name]: 'sEcReT' } }), [`${name}: this key is not allowed`])
  }
  t.equal(({} as { polluted?: unknown }).polluted, undefined)
})

t.test('the faults of all sources are told at once', async t => {
  const folder = t.testdir({ 'appsettings.json': '{"a" 1}', 'appsettings.Test.json': '{"__proto__":{},"constructor":{}}' })

  t.match(faultsOf(folder, { environment: 'test', env: { A__constructor__b: '1' } }), [/appsettings\.json: not JSON/, /appsettings\.Test\.json: the key __proto__/, /appsettings\.Test\.json: the key constructor/, /^A__constructor__b: /])
})
