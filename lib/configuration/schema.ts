import * as v from 'valibot'
import type { DownstreamApiOptions } from './api-options.ts'
import { DEFAULT_APP_SECTION, type AzureAdOptions } from './app-options.ts'
import { ConfigurationError } from '../errors.ts'
import type { CustomSignedAssertionProvider } from '../credentials/custom-signed-assertion.ts'
import { inboundOptions, type InboundOptions } from './inbound-options.ts'
import { isSection } from './own-entries.ts'
import { readOptions } from './read-options.ts'
import type { TokenStore } from '../store/token-store.ts'
import { encryptionKeys, tokenStore } from './token-cache-options.ts'
import { described, dispatcher, fn, milliseconds, nonEmpty } from './value-schemas.ts'

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
  tokenCache: described(v.pipe(v.partial(v.strictObject({
    /** How many tokens are kept at most. Default: 10 000. */
    maxEntries: described(v.pipe(v.number(), v.integer('expected a whole number'), v.minValue(1, 'expected at least 1')), 'How many tokens are kept at most.'),
    /** A store that processes share, as the second level. Default: none. In code only. */
    store: described(tokenStore, 'A store that processes share, as the second level. Needs `encryptionKeys`. In code only.'),
    /** The keys of what is in the store: the first encrypts, all decrypt. */
    encryptionKeys: described(encryptionKeys, 'The keys of what is in the store, `{ id, key }` each, with a key of 32 bytes (or their base64 text): the first encrypts, all decrypt.'),
    /** Whether tokens of user-assigned managed identities are in the store too. Default: false. */
    storeManagedIdentities: described(v.boolean(), 'Whether tokens of user-assigned managed identities are in the store too.'),
  })), v.check(({ store, encryptionKeys }) => store === undefined || encryptionKeys !== undefined, 'a store needs encryptionKeys: the tokens in it are encrypted')), 'The cache of tokens.'),
  /** Which callers are let in: `true` takes what there is from the app section. Default: callers are not validated. */
  inbound: described(inboundOptions, 'Which callers are let in: [protecting routes](protecting-routes.md). `true` takes what there is from the app section. Default: callers are not validated.'),
  /** Functions that sign for the app, by the names that `CustomSignedAssertionProviderName` of credentials gives them. In code only. */
  customSignedAssertionProviders: described(v.record(v.string(), fn<CustomSignedAssertionProvider>()), 'Functions that sign for the app, by the names in `CustomSignedAssertionProviderName` of credentials: [federated credentials](federated-credentials.md#a-provider-of-your-own). In code only.'),
  /** Acquires the tokens of the app before the application is ready: of all APIs that are called as the app, or of those named. Default: false. */
  prewarm: described(v.custom<boolean | readonly string[]>(value => typeof value === 'boolean' || isNameList(value), 'expected true, false or a list of names of downstream APIs'), 'Acquires the tokens of the app before the application is ready: of all APIs that are called as the app (`true`), or of those named.'),
  /** What a token that cannot be acquired by then does: `fail` ends the start, `warn` only tells. Default: 'fail'. */
  prewarmFailure: described(v.picklist(['fail', 'warn'], 'expected fail or warn'), 'What a token that cannot be acquired by then does: `fail` ends the start, `warn` only tells.'),
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
  tokenCache: Object.freeze({ maxEntries: 10_000, storeManagedIdentities: false }),
  tokenTimeout: 10_000,
  prewarm: false,
  prewarmFailure: 'fail',
} as const)

export type FastifyIdentityWebOptions = Omit<v.InferInput<typeof identityWebOptions>, 'inbound'> & { inbound?: boolean | InboundOptions }

type ParsedOptions = v.InferOutput<typeof identityWebOptions>

/** The plugin's options, complete. */
export interface IdentityWebOptions extends Omit<ParsedOptions, 'tokenCache' | 'tokenTimeout' | 'prewarm' | 'prewarmFailure'> {
  readonly tokenCache: TokenCacheOptions
  readonly tokenTimeout: number
  readonly prewarm: boolean | readonly string[]
  readonly prewarmFailure: 'fail' | 'warn'
}

export interface TokenCacheOptions {
  readonly maxEntries: number
  /** The second level, and the keys of what is in it. */
  readonly store?: TokenStore
  readonly encryptionKeys?: readonly { readonly id: string, readonly key: Uint8Array }[]
  readonly storeManagedIdentities: boolean
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

function complete (parsed: ParsedOptions): IdentityWebOptions {
  const { azureAd: _, ...defaults } = identityWebDefaults
  return { ...defaults, ...parsed, tokenCache: { ...defaults.tokenCache, ...(parsed.tokenCache ?? {}) } } as IdentityWebOptions
}

function isNameList (value: unknown): boolean {
  return Array.isArray(value) && value.every(name => typeof name === 'string' && name !== '')
}

function isApiList (value: unknown): boolean {
  if (Array.isArray(value)) return isNameList(value)
  return isSection(value) && Object.values(value).every(item => (typeof item === 'string' && item !== '') || isSection(item))
}
