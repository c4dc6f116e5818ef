import { ConfidentialClientApplication, ManagedIdentityApplication, type INetworkModule, type NetworkRequestOptions, type NetworkResponse } from '@azure/msal-node'
import { request } from 'undici'
import { clientId, tenantId, userAssignedClientId } from '../stage.ts'

/** MSAL as its users make it, over the public cloud, whose addresses it knows by heart; what it sends there is sent to the token service. */
export function msalClient (tokenService: string): ConfidentialClientApplication {
  return new ConfidentialClientApplication({
    auth: { clientId, authority: `https://login.microsoftonline.com/${tenantId}`, clientSecret: 'secret' },
    system: { networkClient: networkClient(tokenService) },
  })
}

export function msalManagedIdentity (): ManagedIdentityApplication {
  return new ManagedIdentityApplication({ managedIdentityIdParams: { userAssignedClientId } })
}

function networkClient (tokenService: string): INetworkModule {
  async function send<T> (method: 'GET' | 'POST', url: string, { headers = {}, body = null }: { headers?: Record<string, string>, body?: string | null } = {}): Promise<NetworkResponse<T>> {
    const { pathname, search } = new URL(url)
    const response = await request(`${tokenService}${pathname}${search}`, { method, headers, body })
    return { status: response.statusCode, headers: response.headers as Record<string, string>, body: await response.body.json() as T }
  }
  return {
    sendGetRequestAsync: (url: string, options?: NetworkRequestOptions) => send('GET', url, options),
    sendPostRequestAsync: (url: string, options?: NetworkRequestOptions) => send('POST', url, options),
  }
}
