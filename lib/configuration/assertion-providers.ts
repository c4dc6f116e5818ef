import type { AppConfiguration } from './app-configuration.ts'
import { inStyleOf, suggestion } from './suggestion.ts'

/**
 * What is wrong with the names of assertion providers in an app section.
 *
 * @param where path of the section
 * @param known the names that there are; `undefined` when that is not known
 */
export function providerFaults ({ clientCredentials }: AppConfiguration, where: string, known: readonly string[] | undefined): string[] {
  const style = (key: string) => inStyleOf(where.split('.').at(-1)!, key)
  return clientCredentials.flatMap((credential, index) => {
    if (credential.skip || !('customSignedAssertionProviderName' in credential || credential.sourceType === 'SignedAssertionFromVault')) return []
    const fault = nameFault(credential.customSignedAssertionProviderName, known)
    return fault === undefined ? [] : [`${where}.${style('clientCredentials')}[${index}].${style('customSignedAssertionProviderName')}: ${fault}`]
  })
}

function nameFault (name: string | undefined, known: readonly string[] | undefined): string | undefined {
  if (name === undefined) return 'is missing: nothing here signs with a vault by itself; give the function that does so in the option customSignedAssertionProviders, and its name here'
  if (known === undefined || known.includes(name)) return undefined
  if (known.length === 0) return `there is no provider "${name}": the option customSignedAssertionProviders is empty`

  const close = suggestion(name, known)?.toLowerCase()
  const meant = known.find(candidate => candidate.toLowerCase() === close)
  return `there is no provider "${name}" in the option customSignedAssertionProviders, which has ${known.map(candidate => `"${candidate}"`).join(', ')}${meant === undefined ? '' : `; did you mean "${meant}"?`}`
}
