import t from 'tap'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { parseConfiguration } from '../../../lib/configuration/configuration.ts'
import { TokenHeaderProvider } from '../../../lib/tokens/authorization-header-provider.ts'
import { ConfiguredTokenAcquirer } from '../../../lib/tokens/token-acquirer.ts'
import { tokenChannels } from '../../../lib/tokens/token-events.ts'
import type { ClientCredentialsRequest } from '../../../lib/tokens/token-request.ts'
import type { Token } from '../../../lib/tokens/token.ts'
import { engineOf, pending } from '../../fixtures/engine.ts'
import { loggerOf, type Line } from '../../fixtures/identity-web.ts'
import { sessions } from '../../fixtures/sessions.ts'

const scope = 'api://todo/.default'
const AzureAd = { Instance: 'https://login.microsoftonline.com/', TenantId: 'contoso.example', ClientId: '0d9b6f0a-9a64-4c0f-8d7a-7a3f5b9c2e01', ClientSecret: 'secret' }

function acquirerOf () {
  const lines: Line[] = []
  const { engine, provider } = engineOf()
  const acquirer = new ConfiguredTokenAcquirer({ configuration: parseConfiguration({ source: { AzureAd } }), engine, sessions: sessions(), findCaller: undefined, logger: loggerOf(lines) })
  return { acquirer, provider, lines }
}

t.test('a request that was prepared once can be asked for often, and its token is at hand once it was acquired', async t => {
  const { acquirer, provider, lines } = acquirerOf()
  const prepared = acquirer.prepare('client-credential', [scope], {}, 'MyWebApi')

  t.equal(acquirer.atHand(prepared), undefined)
  t.match(await acquirer.acquire(prepared, {}), { source: 'identity-provider', identity: 'client-credential' })
  t.equal(acquirer.atHand(prepared)?.accessToken, 'token 1')
  t.match(await acquirer.acquire(prepared, {}), { source: 'cache' })

  t.equal(provider.requests.length, 1)
  t.match(lines, [{ level: 'debug', fields: { api: 'MyWebApi', flow: 'clientCredentials', tokenSource: 'identity-provider' }, message: 'token acquired' }])
  t.equal(lines.length, 1)
  t.match(acquirer.diagnostics(), [{ api: 'MyWebApi', tenantId: 'contoso.example', hits: 2 }])
})

t.test('the wait for a header ends with the request as well as with the signal of the call', async t => {
  for (const who of ['request', 'call']) {
    const { acquirer, provider } = acquirerOf()
    const controllers = { request: new AbortController(), call: new AbortController() }
    const headers = new TokenHeaderProvider(acquirer, { signal: () => controllers.request.signal })
    provider.otherwise = () => pending<Token>().promise

    const header = t.rejects(headers.createAuthorizationHeaderForApp(scope, { acquireTokenOptions: { signal: controllers.call.signal } }), { message: who })
    controllers[who as keyof typeof controllers].abort(new Error(who))
    await header
  }
})

t.test('a managed identity is system-assigned where nothing else is said', async t => {
  const { acquirer } = acquirerOf()
  t.match(acquirer.prepare('managed-identity', [scope], {}), { request: { managedIdentity: {}, clientCapabilities: [] }, description: { clientId: undefined } })
})

t.test('options that have no JSON are refused where they are wrong, and else give a header like any others', async t => {
  const { acquirer, provider } = acquirerOf()
  const headers = new TokenHeaderProvider(acquirer)
  const odd = Object.create({ toJSON () { throw new Error('no JSON') } }) as object

  await t.rejects(headers.createAuthorizationHeaderForApp(scope, { acquireTokenOptions: { fmiPath: 1n as never } }), { code: 'FST_IDW_CONFIG_INVALID' })
  for (let call = 0; call < 2; call++) t.equal(await headers.createAuthorizationHeaderForApp(scope, odd), 'Bearer token 1')

  t.equal(provider.requests.length, 1)
})

t.test('nothing that is handed out can change a request, its token or what is said of them', async t => {
  const { acquirer, provider } = acquirerOf()
  const heard: object[] = []
  const note = (message: unknown) => { heard.push(message as object) }
  subscribe(tokenChannels.acquisitionEnd, note)
  t.teardown(() => unsubscribe(tokenChannels.acquisitionEnd, note))
  const scopes = [scope]
  const extraHeadersParameters = { 'X-One': '1' }
  const prepared = acquirer.prepare('client-credential', scopes, { extraHeadersParameters, extraQueryParameters: { dc: '1' } })
  const machine = acquirer.prepare('managed-identity', [scope], {})
  const { token } = await acquirer.acquire(prepared, {})
  const result = await acquirer.getTokenForApp(scope)

  const [diagnostics] = acquirer.diagnostics()
  const { request } = prepared as { request: ClientCredentialsRequest }
  for (const frozen of [request, request.scopes, request.extraQueryParameters, request.extraHeadersParameters, machine.request, machine.request.scopes, prepared.description, prepared.description.scopes, token.scopes, result.scopes, diagnostics, diagnostics!.scopes, (heard[0] as typeof diagnostics)!.scopes]) t.ok(Object.isFrozen(frozen))
  t.notOk(Object.isFrozen(scopes) || Object.isFrozen(extraHeadersParameters), 'what belongs to the caller stays as it is')
  extraHeadersParameters['X-One'] = '2'
  t.match(request.extraHeadersParameters, { 'X-One': '1' })
  t.equal(provider.requests.length, 2)
})
