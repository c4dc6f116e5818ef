import * as v from 'valibot'
import { EntraRefusal } from './entra-error.ts'

const claimsParameter = v.pipe(v.string(), v.parseJson(), v.object({
  access_token: v.nullish(v.object({
    xms_cc: v.nullish(v.object({ values: v.array(v.string()) })),
  })),
}))

/**
 * The client capabilities that the parameter `claims` tells of, OpenID Connect Core section 5.5.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/claims-challenge#how-to-communicate-client-capabilities-to-microsoft-entra-id
 * @throws EntraRefusal when it is no such JSON
 */
export function clientCapabilitiesOf (claims: string | undefined): readonly string[] | undefined {
  if (claims === undefined || claims === '') return undefined
  const { success, output } = v.safeParse(claimsParameter, claims)
  if (!success) throw new EntraRefusal(9002313, 'The parameter claims is not the JSON that it should be.')
  return output.access_token?.xms_cc?.values
}
