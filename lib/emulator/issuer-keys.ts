import { createLocalJWKSet, createRemoteJWKSet, type CompactVerifyGetKey, type JSONWebKeySet } from 'jose'
import * as v from 'valibot'
import { isLoopbackHost } from '../local-host.ts'
import { EntraRefusal } from './entra-error.ts'

const discoveryDocument = v.object({ issuer: v.string(), jwks_uri: v.string() })
const TIMEOUT = 5000

/** The public keys of those who issue tokens: the emulator's own, or fetched from loopback addresses as discovery tells. */
export class IssuerKeys {
  readonly #own: (issuer: string) => JSONWebKeySet | undefined
  readonly #fetched = new Map<string, CompactVerifyGetKey>()

  /** @param own the keys of an issuer that the emulator itself is */
  constructor (own: (issuer: string) => JSONWebKeySet | undefined) {
    this.#own = own
  }

  /** @throws EntraRefusal when they cannot be found */
  async of (issuer: string): Promise<CompactVerifyGetKey> {
    const own = this.#own(issuer)
    if (own !== undefined) return createLocalJWKSet(own)

    const keys = this.#fetched.get(issuer) ?? await remoteKeys(issuer)
    this.#fetched.set(issuer, keys)
    return keys
  }
}

/** Keys that are fetched once, and again whenever a token is signed with one that is not there yet. */
async function remoteKeys (issuer: string): Promise<CompactVerifyGetKey> {
  try {
    const response = await fetch(onLoopback(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`), { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT) })
    const { issuer: told, jwks_uri: jwksUri } = v.parse(discoveryDocument, await response.json())
    if (told !== issuer) throw new Error(`its discovery document is of '${told}'`)
    return createRemoteJWKSet(onLoopback(jwksUri), { cooldownDuration: 0, timeoutDuration: TIMEOUT })
  } catch (error) {
    throw new EntraRefusal(50166, `The keys of '${issuer}' could not be found: ${(error as Error).message}.`)
  }
}

function onLoopback (url: string): URL {
  const parsed = new URL(url)
  if (!isLoopbackHost(parsed.hostname)) throw new Error('the emulator fetches keys from loopback addresses only')
  return parsed
}
