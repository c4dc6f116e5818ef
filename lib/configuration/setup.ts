import { ConfigurationError } from '../errors.ts'
import { inboundConfiguration, type InboundConfiguration } from '../inbound/inbound-configuration.ts'
import { collecting } from './collecting.ts'
import { parseConfiguration, type Configuration } from './configuration.ts'
import { parseOptions, soundOptions, type IdentityWebOptions } from './schema.ts'

/** What the engine is made from. */
export interface Setup {
  readonly options: IdentityWebOptions
  readonly configuration: Configuration
  /** Which callers are let in; `undefined` where they are not validated. */
  readonly inbound: InboundConfiguration | undefined
}

/**
 * Reads the options, and the sections that they lead to.
 *
 * @param sourceOf gives the sections, or throws ConfigurationError
 * @throws ConfigurationError with every fault of both
 */
export function setUp (given: unknown, sourceOf: (options: IdentityWebOptions) => unknown): Setup {
  const faults: string[] = []
  const options = collecting(faults, () => parseOptions(given))
  const sound = options ?? soundOptions(given)
  const configuration = sound && collecting(faults, () => configurationOf(sound, sourceOf(sound), providerNames(sound, options)))
  const inbound = sound?.inbound && configuration && collecting(faults, () => inboundConfiguration(sound.inbound!, configuration.app()))
  if (options === undefined || configuration === undefined || faults.length > 0) throw new ConfigurationError(faults)
  return { options, configuration, inbound }
}

/** Names of the assertion providers; `undefined` where the option that has them may be the faulty one. */
function providerNames ({ customSignedAssertionProviders }: IdentityWebOptions, options: IdentityWebOptions | undefined): string[] | undefined {
  if (customSignedAssertionProviders !== undefined) return Object.keys(customSignedAssertionProviders)
  return options && []
}

function configurationOf ({ azureAd, downstreamApis, prewarm }: IdentityWebOptions, source: unknown, assertionProviders: readonly string[] | undefined): Configuration {
  const configuration = parseConfiguration({ source, ...assertionProviders !== undefined && { assertionProviders }, ...azureAd !== undefined && { azureAd }, ...downstreamApis !== undefined && { downstreamApis } })
  const unknown = Array.isArray(prewarm) ? prewarm.filter((name: string) => !configuration.apis.has(name)) : []
  if (unknown.length > 0) throw new ConfigurationError(unknown.map(name => `options.prewarm: there is no downstream API "${name}"`))
  return configuration
}
