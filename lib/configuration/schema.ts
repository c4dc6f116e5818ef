import type { Dispatcher } from 'undici'
import * as v from 'valibot'
import type { DownstreamApiOptions } from './api-options.ts'
import { DEFAULT_APP_SECTION, type AzureAdOptions } from './app-options.ts'
import { ConfigurationError } from '../errors.ts'
import { isSection } from './own-entries.ts'
import { readOptions } from './read-options.ts'
import { described, dispatcher, milliseconds, nonEmpty } from './value-schemas.ts'

export type { AcquireTokenOptions, ManagedIdentityOptions } from './acquire-token-options.ts'
export type { DownstreamApiOptions } from './api-options.ts'
export type { AzureAdOptions } from './app-options.ts'
export type { ClientCredentialOptions } from './client-credential-options.ts'

const section = v.custom<object>(isSection, 'expected an object')

/** Options of the plugin. */
export const identityWebOptions = v.pipe(v.partial(v.strictObject({
  /** The configuration: an object with the sections. Default: `fastify.config`. */
  config: described(section, 'The configuration: an object with the sections. Default: `fastify.config`.'),
  /** Reads `appsettings.json` of the working directory, or of this path. Default: false. */
  appSettings: described(v.union([v.boolean(), nonEmpty], 'expected true, false or a path'), 'Reads `appsettings.json` of the working directory (`true`) or of this path. Default: `false`.'),
  /** The app section: its name, or its options. Default: 'AzureAd'. */
  azureAd: described(v.custom<string | AzureAdOptions>(value => typeof value === 'string' ? value !== '' : isSection(value), 'expected the name of a section, or its options'), 'The app section: its name, or its options.'),
  /** The downstream APIs: names of sections, or a service name for each section or its options. Default: those under `DownstreamApis`, and every section with a `BaseUrl`. */
  downstreamApis: described(v.custom<readonly string[] | Readonly<Record<string, string | DownstreamApiOptions>>>(isApiList, 'expected a list of section names, or an object with a section name or options for each service name'), 'The downstream APIs: names of sections, or for each service name a section or its options. Default: those under `DownstreamApis`, and every section with a `BaseUrl`.'),
  /** The cache of tokens. */
  tokenCache: described(v.partial(v.strictObject({
    /** How many tokens are kept at most. Default: 10 000. */
    maxEntries: described(v.pipe(v.number(), v.integer('expected a whole number'), v.minValue(1, 'expected at least 1')), 'How many tokens are kept at most.')
  })), 'The cache of tokens.'),
  /** Milliseconds that one acquisition may take. Default: 10 000. */
  tokenTimeout: described(milliseconds, 'Milliseconds that one acquisition may take.'),
  /** Carries downstream calls, as a proxy or mock does. Default: connections of the plugin's own. */
  dispatcher: described(dispatcher, 'Carries downstream calls, as a proxy or a mock does. Default: connections of the plugin\'s own.'),
  /** Carries requests to Entra ID; never those to a managed identity endpoint. Default: connections of the plugin's own. */
  identityDispatcher: described(dispatcher, 'Carries requests to Entra ID; never those to a managed identity endpoint. Default: connections of the plugin\'s own.'),
})), v.rawCheck(({ dataset: { value }, addIssue }) => {
  const { config, appSettings } = isSection(value) ? value : {}
  if (config !== undefined && appSettings !== undefined && appSettings !== false) addIssue({ message: 'give either config or appSettings' })
}))

/** What an option is when it is not given; the others are absent. */
export const identityWebDefaults = Object.freeze({
  azureAd: DEFAULT_APP_SECTION,
  tokenCache: Object.freeze({ maxEntries: 10_000 }),
  tokenTimeout: 10_000,
} as const)

export type FastifyIdentityWebOptions = v.InferInput<typeof identityWebOptions>

/** The plugin's options, complete. */
export interface IdentityWebOptions extends Omit<v.InferOutput<typeof identityWebOptions>, 'tokenCache' | 'tokenTimeout' | 'dispatcher' | 'identityDispatcher'> {
  readonly tokenCache: { readonly maxEntries: number }
  readonly tokenTimeout: number
  readonly dispatcher: Dispatcher | undefined
  readonly identityDispatcher: Dispatcher | undefined
}

// Fastify reads these of the options of every plugin.
const fastifyOptions = ['prefix', 'logLevel', 'logSerializers']
// What the sections come from, in lower case.
const sources = ['config', 'appsettings', 'azuread', 'downstreamapis']

/** @throws ConfigurationError with every fault */
export function parseOptions (options: unknown): IdentityWebOptions {
  const faults: string[] = []
  const parsed = readOptions(identityWebOptions, ownOptions(options), 'options', faults)
  if (parsed === undefined) throw new ConfigurationError(faults)
  return complete(parsed)
}

/** Of options that have faults, those that have none; `undefined` when it is not sure where the sections are. */
export function soundOptions (options: unknown): IdentityWebOptions | undefined {
  const own = ownOptions(options)
  if (!isSection(own)) return undefined
  const isSound = ([name, value]: [string, unknown]) => readOptions(identityWebOptions, { [name]: value }, 'options', []) !== undefined
  const [sound, faulty] = [Object.entries(own).filter(isSound), Object.entries(own).filter(entry => !isSound(entry))]
  if (faulty.some(([name]) => sources.includes(name.toLowerCase()))) return undefined
  const parsed = readOptions(identityWebOptions, Object.fromEntries(sound), 'options', [])
  return parsed && complete(parsed)
}

function ownOptions (options: unknown): unknown {
  return isSection(options) ? Object.fromEntries(Object.entries(options).filter(([name]) => !fastifyOptions.includes(name))) : options ?? {}
}

function complete ({ tokenCache, tokenTimeout = identityWebDefaults.tokenTimeout, dispatcher, identityDispatcher, ...sources }: v.InferOutput<typeof identityWebOptions>): IdentityWebOptions {
  return { ...sources, tokenCache: { maxEntries: tokenCache?.maxEntries ?? identityWebDefaults.tokenCache.maxEntries }, tokenTimeout, dispatcher, identityDispatcher }
}

function isApiList (value: unknown): boolean {
  if (Array.isArray(value)) return value.every(name => typeof name === 'string' && name !== '')
  return isSection(value) && Object.values(value).every(item => (typeof item === 'string' && item !== '') || isSection(item))
}
