import * as v from 'valibot'
import { EntraRefusal } from './entra-error.ts'

const requestedClaim = v.nullish(v.object({ essential: v.nullish(v.boolean()), value: v.nullish(v.string()), values: v.nullish(v.array(v.string())) }))
const claimsParameter = v.pipe(v.string(), v.parseJson(), v.object({
  access_token: v.nullish(v.object({
    xms_cc: v.nullish(v.object({ values: v.array(v.string()) })),
    acrs: requestedClaim,
    capolids: requestedClaim,
  })),
}))

/** What a client asks for, or tells of, by the parameter `claims`. */
export interface RequestedClaims {
  /** What the client can do: 'cp1' is to handle claims challenges. */
  readonly clientCapabilities: readonly string[] | undefined
  /** Authentication contexts that the token has to meet. */
  readonly acrs: readonly string[]
  /** Policies of Conditional Access that the token has to meet. */
  readonly capolids: readonly string[]
}

/**
 * Reads the parameter `claims`, OpenID Connect Core section 5.5.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/claims-challenge
 * @throws EntraRefusal when it is no such JSON
 */
export function requestedClaimsOf (claims: string | undefined): RequestedClaims {
  if (claims === undefined || claims === '') return { clientCapabilities: undefined, acrs: [], capolids: [] }
  const { success, output } = v.safeParse(claimsParameter, claims)
  if (!success) throw new EntraRefusal(9002313, 'The parameter claims is not the JSON that it should be.')
  const { access_token: ofAccessToken } = output
  return { clientCapabilities: ofAccessToken?.xms_cc?.values, acrs: valuesOf(ofAccessToken?.acrs), capolids: valuesOf(ofAccessToken?.capolids) }
}

function valuesOf (asked: v.InferOutput<typeof requestedClaim>): readonly string[] {
  return asked?.essential ? [...asked.value ? [asked.value] : [], ...asked.values ?? []] : []
}
