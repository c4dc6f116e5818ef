import { IdentityNotAllowedError } from '../errors.ts'

/** As whom a call is made. */
export type Identity = 'client-credential' | 'managed-identity' | 'user'

/** The app's own. */
export type AppIdentity = Exclude<Identity, 'user'>

/** What a method says about it: `…ForApp`, `…ForUser`, or neither. */
export type Caller = 'app' | 'user' | 'configured'

/** What the options say about it. */
export interface IdentityOptions {
  readonly requestAppToken?: boolean | undefined
  readonly acquireTokenOptions?: { readonly managedIdentity?: object | undefined } | undefined
}

/**
 * The identity that a call is made as, when nothing but the method and the options decide.
 *
 * @throws IdentityNotAllowedError for a call on behalf of the user where a managed identity is configured: it would
 * be made with the rights of the app instead
 */
export function identityOf (caller: Caller, { requestAppToken, acquireTokenOptions }: IdentityOptions, what: string): Identity {
  const managedIdentity = acquireTokenOptions?.managedIdentity !== undefined
  if (caller === 'user' && managedIdentity) {
    throw new IdentityNotAllowedError(`${what} is configured with a managed identity, which is the app's own, and was asked for on behalf of the user: use a …ForApp method, or take ManagedIdentity out`)
  }
  if (caller === 'user' || (caller === 'configured' && !managedIdentity && !requestAppToken)) return 'user'
  return managedIdentity ? 'managed-identity' : 'client-credential'
}
