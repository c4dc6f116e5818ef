import { ConfigurationError } from '../errors.ts'
import { parseApi, type ApiConfiguration } from './api-configuration.ts'
import { foundApis, wantedApis, type WantedApis } from './api-sections.ts'
import { missingOf, type AppConfiguration } from './app-configuration.ts'
import type { AzureAdOptions } from './app-options.ts'
import { AppSections } from './app-sections.ts'
import { missingSection, sectionsOf } from './sections.ts'

export type { ApiConfiguration } from './api-configuration.ts'
export { missingOf, type AppConfiguration, type CertificateCredentialConfiguration, type ClientCredentialConfiguration } from './app-configuration.ts'

/** What the configuration is made from. */
export interface ConfigurationInput {
  /** The sections: `fastify.config`, the `config` option or `loadAppSettings()`. */
  source?: unknown
  /** The app section: its name, or its options. Default: 'AzureAd'. */
  azureAd?: string | AzureAdOptions
  /** Which sections are downstream APIs, by service name. Default: those under `DownstreamApis`, and every section with a `BaseUrl`. */
  downstreamApis?: WantedApis
  /** Names of the assertion providers that there are. Without it, any name may be right. */
  assertionProviders?: readonly string[]
}

/** The sections, read and checked; frozen. */
export interface Configuration {
  /** By their exact service names. */
  readonly apis: ReadonlyMap<string, ApiConfiguration>
  /** The default app section, or the one named; `undefined` when there is none. A named one is read when it is first asked for, and throws ConfigurationError when it has faults. */
  app (name?: string): AppConfiguration | undefined
  /** What is read but will not do what it says. */
  readonly warnings: readonly string[]
}

/** @throws ConfigurationError with every fault */
export function parseConfiguration ({ source, azureAd, downstreamApis, assertionProviders }: ConfigurationInput): Configuration {
  const faults: string[] = []
  const sections = sectionsOf(source, faults)
  const apps = new AppSections(sections, azureAd, assertionProviders)
  const defaultApp = apps.default(faults)

  const found = downstreamApis === undefined ? foundApis(sections, apps.names, faults) : wantedApis(sections, downstreamApis, faults)
  const apis = new Map<string, ApiConfiguration>()
  for (const { name, where, value } of found) {
    const api = parseApi(name, where, value, faults)
    if (api === undefined) continue
    apis.set(name, api)
    requireAppOf(api, where)
  }
  if (faults.length > 0) throw new ConfigurationError([...new Set(faults)])

  return Object.freeze({
    apis,
    warnings: Object.freeze([...apps.warnings]),
    app (name?: string) {
      if (name === undefined) return defaultApp
      const faults: string[] = []
      const app = apps.named(name, faults)
      if (faults.length > 0) throw new ConfigurationError(faults)
      return app
    },
  })

  /** An app section that an API names must be there; one that it needs must be complete. */
  function requireAppOf ({ scopes, acquireTokenOptions }: ApiConfiguration, where: string): void {
    const { authenticationOptionsName: name, managedIdentity } = acquireTokenOptions
    if (name !== undefined && !apps.has(name)) faults.push(missingSection(`${where}.AcquireTokenOptions.AuthenticationOptionsName`, name, sections))
    const app = name === undefined ? defaultApp : apps.named(name, faults)
    const isNeeded = scopes.length > 0 && managedIdentity === undefined
    if (app === undefined || !isNeeded || !app.isIdentity) return
    for (const key of missingOf(app)) faults.push(`${app.name}.${key}: is missing, and ${where} needs it`)
  }
}
