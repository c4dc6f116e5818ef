import { X509Certificate } from 'node:crypto'
import type { ArcKey } from './arc-key.ts'
import type { Directory, ManagedIdentitySourceName } from './directory.ts'

/** Where the endpoint of each platform is. */
export const managedIdentityPaths: Readonly<Record<ManagedIdentitySourceName, string>> = {
  'app-service': 'msi/token',
  'azure-arc': 'azure-arc/metadata/identity/oauth2/token',
  'cloud-shell': 'cloud-shell/oauth2/token',
  imds: 'metadata/identity/oauth2/token',
  'machine-learning': 'machine-learning/msi/token',
  'service-fabric': 'metadata/identity/oauth2/token',
}

export interface ManagedIdentityEnvironmentOptions {
  /** Where all endpoints are but Service Fabric's; ends in `/`. */
  readonly instance: string
  /** Where Service Fabric's endpoint is, if it is there; the origin ends in `/`. */
  readonly serviceFabric: { readonly origin: string, readonly cert: string | Buffer } | undefined
  readonly identityHeader: string
  readonly arcKey: ArcKey
  readonly directory: Directory
}

/**
 * The variables that a platform gives its processes.
 *
 * @throws TypeError for Service Fabric where its endpoint is not there
 * @throws Error for Azure Arc when its key cannot be written
 */
export function managedIdentityEnvironment (source: ManagedIdentitySourceName, options: ManagedIdentityEnvironmentOptions): Record<string, string> {
  const { instance, serviceFabric, identityHeader, arcKey, directory } = options
  const endpoint = instance + managedIdentityPaths[source]
  switch (source) {
    case 'app-service':
      return { IDENTITY_ENDPOINT: endpoint, IDENTITY_HEADER: identityHeader }
    case 'azure-arc':
      arcKey.write()
      return { IDENTITY_ENDPOINT: endpoint, IMDS_ENDPOINT: `${instance}azure-arc` }
    case 'cloud-shell':
      return { MSI_ENDPOINT: endpoint }
    case 'imds':
      return { AZURE_POD_IDENTITY_AUTHORITY_HOST: instance.slice(0, -1) }
    case 'machine-learning': {
      const systemAssigned = directory.managedIdentity(source, {})
      return { MSI_ENDPOINT: endpoint, MSI_SECRET: identityHeader, ...systemAssigned && { DEFAULT_IDENTITY_CLIENT_ID: systemAssigned.clientId } }
    }
    case 'service-fabric': {
      if (serviceFabric === undefined) throw new TypeError('envOf: service-fabric: its endpoint is https; give startEntraEmulator({ serviceFabric: { key, cert } })')
      const IDENTITY_SERVER_THUMBPRINT = new X509Certificate(serviceFabric.cert).fingerprint.replaceAll(':', '')
      return { IDENTITY_ENDPOINT: serviceFabric.origin + managedIdentityPaths[source], IDENTITY_HEADER: identityHeader, IDENTITY_SERVER_THUMBPRINT }
    }
  }
}
