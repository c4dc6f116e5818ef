import { fileURLToPath } from 'node:url'
import { loadAppSettings } from 'fastify-identity-web'
import { startEntraEmulator, type EntraEmulator } from 'fastify-identity-web/testing'
import { todoApi } from './todo-api.ts'
import { webApi, type TodoList } from './web-api.ts'

// Starts everything on this machine, calls each route of the web API once, says what happened, and ends.
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
  if (!response.ok) {
    failures++
    console.log(`  ${await response.text()}\n`)
    continue
  }
  const { caller, todos } = await response.json() as TodoList
  console.log(`  MyWebApi was called by ${nameOf(caller)} (${caller}), and answered:`)
  for (const { id, title } of todos) console.log(`  ${id}. ${title}`)
  console.log()
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
  entra.registerApp({ clientId: audience, tenantId, exposes: { roles: ['Todo.Read'] } })
  entra.registerApp({ clientId: AzureAd.ClientId, tenantId, secrets: [AzureAd.ClientCredentials[0]!.ClientSecret], appRoleAssignments })
  entra.registerManagedIdentity({ tenantId, appRoleAssignments })
  entra.registerManagedIdentity({ tenantId, clientId: UserAssigned.ClientId, appRoleAssignments })
  Object.assign(process.env, entra.env)
  return entra
}

function nameOf (caller: string): string {
  if (caller === AzureAd.ClientId) return 'the app itself, with its client credential'
  return caller === UserAssigned.ClientId ? 'the user-assigned managed identity' : 'the system-assigned managed identity'
}
