import { fileURLToPath } from 'node:url'
import { loadAppSettings } from 'fastify-identity-web'
import { startEntraEmulator, type EntraEmulator } from 'fastify-identity-web/testing'
import { todosOf } from './client.ts'
import { todoApi } from './todo-api.ts'
import { webApi, type TodoList } from './web-api.ts'

// Starts everything on this machine, calls each route of the web API, says what happened, and ends.
// With a real tenant, the route of users is called with the token in USER_TOKEN: az account get-access-token --scope api://<ClientId>/access_as_user --query accessToken -o tsv
const appSettings = fileURLToPath(new URL('./appsettings.json', import.meta.url))
const { AzureAd, MyWebApi, UserAssigned } = loadAppSettings({ path: appSettings }) as unknown as Settings
const audience = MyWebApi.Scopes[0]!.replace(/^api:\/\/(.*)\/\.default$/, '$1')

const isEmulated = ['localhost', '127.0.0.1'].includes(new URL(AzureAd.Instance).hostname)
const entra = isEmulated ? await startEmulator() : undefined

const api = todoApi({ instance: AzureAd.Instance, tenantId: AzureAd.TenantId, audience })
await api.listen({ port: Number(new URL(MyWebApi.BaseUrl).port) })
const web = await webApi(appSettings)
const address = await web.listen({ port: 0, host: '127.0.0.1' })
console.log(`Entra ID:  ${AzureAd.Instance} (${isEmulated ? 'the emulator, no Azure account is needed' : 'a real tenant'})
MyWebApi:  ${MyWebApi.BaseUrl}${MyWebApi.RelativePath}
Web API:   ${address}\n`)

let failures = 0
for (const route of ['client-credential', 'system-assigned', 'user-assigned']) {
  const response = await fetch(`${address}/todos/${route}`)
  console.log(`GET /todos/${route} -> ${response.status}`)
  if (response.ok) show(await response.json() as TodoList)
  else fail(await response.text())
}

if (entra !== undefined) {
  const ada = await entra.issueUserToken({ audience: AzureAd.ClientId, name: 'Ada', objectId: 'ada00000-0000-4000-8000-000000000001' })
  await callAs('Ada', ada)

  // Nobody has agreed yet that the web API may call MyWebApi for Bob: it tells his client what to do.
  const bob = { name: 'Bob', objectId: 'b0b00000-0000-4000-8000-000000000002' }
  const consent = entra.requireConsent({ clientId: AzureAd.ClientId, objectId: bob.objectId })
  const token = await entra.issueUserToken({ audience: AzureAd.ClientId, ...bob })
  await callAs('Bob, who has not consented', token, 401)
  consent()
  await callAs('Bob, who has consented', token)
} else if (process.env['USER_TOKEN'] !== undefined) {
  await callAs('the user of USER_TOKEN', process.env['USER_TOKEN'])
}

await web.close()
await api.close()
await entra?.close()
process.exitCode = failures === 0 ? 0 : 1

interface Settings {
  AzureAd: { Instance: string, TenantId: string, ClientId: string, ClientCredentials: { ClientSecret: string }[] }
  MyWebApi: { BaseUrl: string, RelativePath: string, Scopes: string[] }
  UserAssigned: { ClientId: string }
}

/** Entra ID and the managed identity endpoint of an App Service, with the registrations that appsettings.json speaks of. */
async function startEmulator (): Promise<EntraEmulator> {
  const entra = await startEntraEmulator({ port: Number(new URL(AzureAd.Instance).port), host: 'localhost' })
  const { TenantId: tenantId } = AzureAd
  const appRoleAssignments = { [`api://${audience}`]: ['Todo.Read'] }
  entra.registerApp({ clientId: audience, tenantId, exposes: { roles: ['Todo.Read'], scopes: ['Todo.Read.Own'] } })
  entra.registerApp({ clientId: AzureAd.ClientId, tenantId, secrets: [AzureAd.ClientCredentials[0]!.ClientSecret], exposes: { scopes: ['access_as_user'] }, appRoleAssignments })
  entra.registerManagedIdentity({ tenantId, appRoleAssignments })
  entra.registerManagedIdentity({ tenantId, clientId: UserAssigned.ClientId, appRoleAssignments })
  Object.assign(process.env, entra.env)
  return entra
}

/** Calls the web API with the token of a user. */
async function callAs (who: string, userToken: string, expected = 200): Promise<void> {
  const answer = await todosOf(address, userToken)
  console.log(`GET /todos/mine, as ${who} -> ${answer.status}`)
  if ('list' in answer) show(answer.list)
  else if (answer.status === expected) console.log(`  The client is told what the user must do:\n  WWW-Authenticate: ${answer.challenge}\n`)
  if (answer.status !== expected) fail('message' in answer ? answer.message : 'a challenge was expected')
}

function show ({ caller, user, todos }: TodoList): void {
  console.log(`  MyWebApi was called by ${user === undefined ? nameOf(caller) : `the app on behalf of ${user}`} (${caller}), and answered:`)
  for (const { id, title } of todos) console.log(`  ${id}. ${title}`)
  console.log()
}

function fail (why: string): void {
  failures++
  console.log(`  ${why}\n`)
}

function nameOf (caller: string): string {
  if (caller === AzureAd.ClientId) return 'the app itself, with its client credential'
  return caller === UserAssigned.ClientId ? 'the user-assigned managed identity' : 'the system-assigned managed identity'
}
