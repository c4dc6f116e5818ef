import { Agent, type Dispatcher } from 'undici'
import { hostOf, isMicrosoftHost } from '../authorities/hosts.ts'
import { pathOfAuthority } from './addressed-authority.ts'

export interface IdentityDispatcherOptions {
  /** Origin of the emulator. */
  readonly origin: () => string
  /** PEM, when the emulator is served over https. */
  readonly cert: string | Buffer | undefined
  /** Further hosts that are authorities. */
  readonly authorityHosts: readonly string[]
}

/**
 * Carries what is sent to an authority, and to the emulator itself, to the emulator; any other host is refused with a `TypeError`.
 */
export function identityDispatcher ({ origin, cert, authorityHosts }: IdentityDispatcherOptions): Dispatcher {
  // The certificate is the emulator's own, whatever name it is for.
  const agent = new Agent(cert === undefined ? {} : { connect: { ca: cert, checkServerIdentity: () => undefined } })
  const known = new Set(authorityHosts.map(hostOf))

  return agent.compose(dispatch => (options, handler) => {
    const asked = new URL(String(options.origin))
    if (asked.origin === origin()) return dispatch(options, handler)
    if (asked.protocol !== 'https:' || !(known.has(asked.host) || isAuthority(asked.host))) {
      throw new TypeError(`${asked.origin} is not known to be an authority; list its host in authorityHosts if it is`)
    }
    return dispatch({ ...options, origin: origin(), path: pathOfAuthority(asked.host, options.path) }, handler)
  })
}

/** A host of Microsoft's, or a region of one. */
function isAuthority (host: string): boolean {
  return isMicrosoftHost(host) || isMicrosoftHost(host.slice(host.indexOf('.') + 1))
}
