import { compactVerify, createLocalJWKSet, type JSONWebKeySet } from 'jose'
import * as v from 'valibot'
import { readAssertion } from './assertion.ts'
import { comparable } from './client-assertion.ts'
import type { Directory, RegisteredApp } from './directory.ts'
import { EntraRefusal } from './entra-error.ts'
import { numberOf } from './issue-order.ts'
import type { User } from './user-token-issuer.ts'

export interface UserAssertionCheck {
  /** The client that presents it. */
  readonly app: RegisteredApp
  readonly directory: Directory
  /** Entra ID's own keys. */
  readonly keys: JSONWebKeySet
  /** What `iss` may be in a tenant. */
  readonly issuersOf: (tenantId: string) => readonly string[]
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** A user whose sign-in is proved. */
export interface SignedInUser extends User {
  /** When the token that proves it was issued, see `IssueOrder`. */
  readonly issued: number
}

const list = v.optional(v.array(v.string()), [])
const userClaims = v.object({ oid: v.string(), tid: v.string(), name: v.optional(v.string()), preferred_username: v.optional(v.string()), upn: v.optional(v.string()), amr: list, acrs: list })

/**
 * Verifies the access token of a user that a client was called with.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow
 * @throws EntraRefusal
 */
export async function verifyUserAssertion (text: string, { app, directory, keys, issuersOf, now }: UserAssertionCheck): Promise<SignedInUser> {
  const { claims } = readAssertion(text, { status: 400, error: 'invalid_request' })
  const invalid = (detail?: string) => new EntraRefusal(50013, detail, { status: 400, error: 'invalid_grant' })
  await compactVerify(text, createLocalJWKSet(keys), { algorithms: ['RS256'] }).catch(() => { throw invalid() })

  const { iss, aud, exp, nbf = 0, scp, idtyp, uti } = claims
  if (typeof exp !== 'number' || now >= exp * 1000 || now < nbf * 1000) throw new EntraRefusal(500133)
  if (![aud].flat().some(audience => app.appIdUris.map(comparable).includes(comparable(String(audience))))) throw new EntraRefusal(500131, `The app was '${app.clientId}'.`)
  if (idtyp === 'app') throw new EntraRefusal(7000114, `The app was '${app.clientId}'.`)
  if (typeof scp !== 'string') throw new EntraRefusal(240002, 'It has no scp: present the access token that the app was called with.')

  const { success, output } = v.safeParse(userClaims, claims)
  if (!success) throw invalid('It does not say whose it is: oid and tid are needed.')
  const { oid, tid, name, preferred_username: preferredUsername, upn, amr, acrs } = output
  if (!issuersOf(tid).includes(String(iss))) throw invalid(`Its issuer is not that of its tenant '${tid}'.`)
  if (directory.app(tid, app.clientId) === undefined) throw new EntraRefusal(50020, `The tenant of the user was '${tid}': register the app in it, too.`)
  return { objectId: oid, tenantId: tid, name, preferredUsername: preferredUsername ?? upn, amr, acrs, issued: numberOf(uti) }
}
