import { ConfigurationError } from '../errors.ts'
import type { ManagedIdentityOptions } from '../configuration/schema.ts'
import { isLoopbackHost, isLinkLocalHost } from '../local-host.ts'

/** The platforms whose managed identity endpoint is known, by Microsoft's names. */
export type ManagedIdentitySource = 'Service Fabric' | 'App Service' | 'Machine Learning' | 'Cloud Shell' | 'Azure Arc' | 'Workload Identity' | 'IMDS'

type UserAssignedKey = keyof ManagedIdentityOptions
export type Environment = Readonly<Record<string, string | undefined>>

interface SourceRule {
  readonly source: ManagedIdentitySource
  /** The variables that, all set, say that the process runs there. */
  readonly variables: readonly string[]
  /** The variable that holds the endpoint. */
  readonly endpoint: string
  /** What the endpoint can be asked for; any other kind of id it would leave unread, and answer as another identity. */
  readonly selectableBy: readonly UserAssignedKey[]
  /** Whether the endpoint may be on another machine: Service Fabric's is, and proves itself by the thumbprint of its certificate. */
  readonly remote?: true
}

const anyId: readonly UserAssignedKey[] = ['userAssignedClientId', 'userAssignedObjectId', 'userAssignedResourceId']

// In the order in which MSAL looks for them.
const rules: readonly SourceRule[] = [
  { source: 'Service Fabric', variables: ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER', 'IDENTITY_SERVER_THUMBPRINT'], endpoint: 'IDENTITY_ENDPOINT', selectableBy: [], remote: true },
  { source: 'App Service', variables: ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER'], endpoint: 'IDENTITY_ENDPOINT', selectableBy: anyId },
  { source: 'Machine Learning', variables: ['MSI_ENDPOINT', 'MSI_SECRET'], endpoint: 'MSI_ENDPOINT', selectableBy: ['userAssignedClientId'] },
  { source: 'Cloud Shell', variables: ['MSI_ENDPOINT'], endpoint: 'MSI_ENDPOINT', selectableBy: [] },
  { source: 'Azure Arc', variables: ['IDENTITY_ENDPOINT', 'IMDS_ENDPOINT'], endpoint: 'IDENTITY_ENDPOINT', selectableBy: anyId },
]
const imds: SourceRule = { source: 'IMDS', variables: [], endpoint: 'AZURE_POD_IDENTITY_AUTHORITY_HOST', selectableBy: anyId }

// The file first: where there is none, which is almost everywhere, nothing else is read.
const workloadVariables = ['AZURE_FEDERATED_TOKEN_FILE', 'AZURE_CLIENT_ID', 'AZURE_TENANT_ID']

function sourceOf (environment: Environment): SourceRule {
  return rules.find(({ variables }) => variables.every(name => environment[name])) ?? imds
}

/**
 * The platform whose managed identity endpoint will be asked, by the environment variables that the platform sets.
 *
 * @throws ConfigurationError when the endpoint is on another machine (a variable that somebody else has set would send
 * the platform's secret there, and take a token from there), or cannot select the kind of identity that is asked for
 */
export function managedIdentitySource (identity: ManagedIdentityOptions, environment: Environment): ManagedIdentitySource {
  const { source, endpoint, selectableBy, remote } = sourceOf(environment)

  const faults: string[] = []
  const url = environment[endpoint]
  if (url && !isLocalEndpoint(url) && !(remote && isHttps(url))) {
    faults.push(`the environment variable ${endpoint}: the managed identity endpoint of ${source} is ${remote ? 'https, or ' : ''}http on a loopback or link-local address`)
  }
  faults.push(...selectionFaults(source, selectableBy, identity))
  if (faults.length > 0) throw new ConfigurationError(faults)
  return source
}

/** What `source` cannot be asked for. */
export function selectionFaults (source: ManagedIdentitySource, selectableBy: readonly UserAssignedKey[], identity: ManagedIdentityOptions): string[] {
  const advice = selectableBy.length > 0 ? `use ${selectableBy.join(' or ')}` : 'only the identity that the platform assigns can be used there'
  return anyId.filter(key => identity[key] !== undefined && !selectableBy.includes(key))
    .map(key => `acquireTokenOptions.managedIdentity.${key}: ${source} cannot select an identity by it; ${advice}`)
}

/**
 * Whether the identity of the process is proved by a token in a file, as on AKS, rather than by an endpoint. Only where IMDS would be asked
 * by default, which is there for pods too, and would answer as the machine.
 */
export function isWorkload (environment: Environment): boolean {
  return workloadVariables.every(name => environment[name]) && !environment[imds.endpoint] && sourceOf(environment) === imds
}

function isHttps (endpoint: string): boolean {
  return URL.canParse(endpoint) && new URL(endpoint).protocol === 'https:'
}

function isLocalEndpoint (endpoint: string): boolean {
  if (!URL.canParse(endpoint)) return false
  const { protocol, hostname } = new URL(endpoint)
  return /^https?:$/.test(protocol) && (isLoopbackHost(hostname) || isLinkLocalHost(hostname))
}
