import t from 'tap'
import { Agent, MockAgent, type Dispatcher } from 'undici'
import type { Authority } from '../../../lib/authorities/authority.ts'
import { AuthorityEndpoints } from '../../../lib/authorities/endpoints.ts'
import { useEnvironment } from '../../fixtures/environment.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'
import { loggerOf, type Line } from '../../fixtures/identity-web.ts'
import { startRawServer } from '../../fixtures/raw-server.ts'

type Tap = Parameters<typeof startRawServer>[0]

const HOUR = 3_600_000

function authorityOf (host: string, region: string | undefined): Authority {
  return { instance: `https://${host}/`, tenantId: 'contoso', policy: undefined, clientId: 'app', tokenEndpoint: `https://${host}/contoso/oauth2/v2.0/token`, isDiscovered: false, region }
}

function endpointsOf (t: Tap, environment: Record<string, string> = {}, platform: Dispatcher = new Agent()) {
  t.teardown(() => platform.close())
  useEnvironment(t, environment)
  const clock = new FakeClock()
  const lines: Line[] = []
  const endpoints = new AuthorityEndpoints({ clock, logger: loggerOf(lines), dispatcher: async () => platform, platform: async () => platform })
  const ask = (signal = new AbortController().signal) => endpoints.forApp(authorityOf('login.microsoftonline.com', 'tryautodetect'), signal)
  return { clock, lines, endpoints, ask }
}

const global = 'https://login.microsoftonline.com/contoso/oauth2/v2.0/token'
const inRegion = (region: string) => `https://${region}.login.microsoft.com/contoso/oauth2/v2.0/token`

t.test('the endpoint of a region is that of the cloud, by the name of today', async t => {
  const { endpoints } = endpointsOf(t)
  for (const [host, regional] of [
    ['login.microsoftonline.com', 'westus2.login.microsoft.com'], ['login.microsoft.com', 'westus2.login.microsoft.com'], ['login.windows.net', 'westus2.login.microsoft.com'], ['sts.windows.net', 'westus2.login.microsoft.com'],
    ['login.microsoftonline.us', 'westus2.login.microsoftonline.us'], ['login.usgovcloudapi.net', 'westus2.login.microsoftonline.us'],
    ['login.partner.microsoftonline.cn', 'westus2.login.partner.microsoftonline.cn'], ['login.chinacloudapi.cn', 'westus2.login.partner.microsoftonline.cn'],
  ] as const) {
    const { signal } = new AbortController()
    t.equal(await endpoints.forApp(authorityOf(host, 'westus2'), signal), `https://${regional}/contoso/oauth2/v2.0/token`)
    t.equal(await endpoints.forUser(authorityOf(host, 'westus2'), signal), `https://${host}/contoso/oauth2/v2.0/token`, 'users have no region')
  }
})

t.test('REGION_NAME is the region without a request', async t => {
  const { ask } = endpointsOf(t, { REGION_NAME: 'West Europe', AZURE_POD_IDENTITY_AUTHORITY_HOST: 'https://evil.example' })
  t.equal(await ask(), inRegion('westeurope'))
})

t.test('the platform is asked for the region once, by all who come at the same time', async t => {
  const { origin, requests } = await startRawServer(t, (_, response) => response.end('WestUS2\n'))
  const { ask, clock, lines } = endpointsOf(t, { AZURE_POD_IDENTITY_AUTHORITY_HOST: origin, REGION_NAME: 'no region/' })

  t.strictSame(new Set(await Promise.all(Array.from({ length: 100 }, () => ask()))), new Set([inRegion('westus2')]))
  await clock.advance(1000 * HOUR)
  t.equal(await ask(), inRegion('westus2'))

  t.match(requests, [{ method: 'GET', url: '/metadata/instance/compute/location?api-version=2020-06-01&format=text', headers: { metadata: 'true' } }])
  t.equal(requests.length, 1)
  t.strictSame(lines, [])
})

t.test('without a word of the environment, the metadata service is where Azure has it', async t => {
  const platform = new MockAgent()
  platform.disableNetConnect()
  platform.get('http://169.254.169.254').intercept({ path: /^\/metadata\/instance\/compute\/location\?/, headers: { metadata: 'true' } }).reply(200, 'westus2')
  const { ask } = endpointsOf(t, {}, platform)
  t.equal(await ask(), inRegion('westus2'))
})

t.test('a region that cannot be detected is the global endpoint, and is looked for again an hour later', async t => {
  for (const [status, body, headers] of [[404, '', {}], [500, 'westus2', {}], [200, '<html>', {}], [200, '', {}], [200, 'x'.repeat(10_000), {}], [302, '', { location: 'https://evil.example/' }]] as const) {
    let isHealthy = false
    const { origin, requests } = await startRawServer(t, (_, response) => { isHealthy ? response.end('westus2') : response.writeHead(status, headers).end(body) })
    const { ask, clock, lines } = endpointsOf(t, { AZURE_POD_IDENTITY_AUTHORITY_HOST: origin })

    t.equal(await ask(), global)
    isHealthy = true
    await clock.advance(HOUR - 1)
    t.equal(await ask(), global)
    t.equal(requests.length, 1)
    await clock.advance(1)
    t.equal(await ask(), inRegion('westus2'))
    t.match(lines, [{ level: 'info', message: /could not be detected: the global endpoint is asked/ }])
    t.equal(lines.length, 1)
  }
})

t.test('the platform is waited for two seconds at most', async t => {
  let arrived!: () => void
  const arrival = new Promise<void>(resolve => { arrived = resolve })
  const { origin } = await startRawServer(t, () => arrived())
  const { ask, clock } = endpointsOf(t, { AZURE_POD_IDENTITY_AUTHORITY_HOST: origin })
  const waiting = ask()
  await arrival
  clock.tick(2_000)
  t.equal(await waiting, global)
  t.equal(clock.timers, 0)
})

t.test('a caller who gives up ends its own wait only, and closing ends what is under way', async t => {
  const { origin } = await startRawServer(t, () => {})
  const { ask, endpoints, lines } = endpointsOf(t, { AZURE_POD_IDENTITY_AUTHORITY_HOST: origin })
  const controller = new AbortController()
  const impatient = ask(controller.signal)
  const patient = ask()
  controller.abort(new Error('gone'))
  await t.rejects(impatient, { message: 'gone' })
  endpoints.close()
  t.equal(await patient, global)
  t.strictSame(lines, [])
})

t.test('the metadata service is on this machine, whatever the environment says', async t => {
  for (const origin of ['https://evil.example', 'http://evil.example', 'https://127.0.0.1', 'no URL', 'file:///etc']) {
    const { ask, lines } = endpointsOf(t, { AZURE_POD_IDENTITY_AUTHORITY_HOST: origin })
    t.equal(await ask(), global)
    t.match(lines, [{ fields: { err: { message: /^the environment variable AZURE_POD_IDENTITY_AUTHORITY_HOST: / } } }], origin)
  }
})
