import * as v from 'valibot'
import { acquireTokenOptions, managedIdentityOptions } from '../../lib/configuration/acquire-token-options.ts'
import { downstreamApiDefaults, downstreamApiOptions } from '../../lib/configuration/api-options.ts'
import { azureAdOptions, keysWithoutEffect } from '../../lib/configuration/app-options.ts'
import { clientCredential } from '../../lib/configuration/client-credential-options.ts'
import { inboundDefaults, inboundOptions } from '../../lib/configuration/inbound-options.ts'
import { identityWebDefaults, identityWebOptions } from '../../lib/configuration/schema.ts'
import { routeAuthOptions } from '../../lib/inbound/route-access.ts'

// The tables of options in the documentation, made from the schemas that check the options.

type Values = Readonly<Record<string, unknown>>
interface Action { readonly type: string, readonly message?: unknown, readonly requirement?: unknown }
interface Schema extends v.GenericSchema {
  readonly type: string
  readonly pipe?: readonly (Schema | Action)[]
  readonly wrapped?: Schema
  readonly item?: Schema
  readonly value?: Schema
  readonly literal?: unknown
  readonly options?: readonly unknown[]
  readonly entries?: Readonly<Record<string, Schema>>
  readonly message?: unknown
}

/** An option, as a table has it. */
export interface Option {
  /** Below the options that the table is of, with dots. */
  readonly key: string
  readonly type: string
  /** `undefined` when the option is absent unless it is given. */
  readonly default: string | undefined
  readonly meaning: string
}

/** What stands between the markers of the pages, by the marker's name. */
export const blocks: Readonly<Record<string, string>> = {
  'plugin options': optionTable(identityWebOptions, identityWebDefaults),
  'downstream API options': optionTable(downstreamApiOptions, downstreamApiDefaults),
  acquireTokenOptions: optionTable(acquireTokenOptions),
  'acquireTokenOptions that are refused': refusedTable(acquireTokenOptions),
  managedIdentity: optionTable(managedIdentityOptions),
  'app section': optionTable(azureAdOptions),
  'app section keys that are refused': refusedTable(azureAdOptions),
  'app section keys without effect': `${keysWithoutEffect.map(key => `\`${key}\``).join(', ')}.`,
  'inbound options': optionTable(inboundOptions, inboundDefaults),
  'route auth options': optionTable(routeAuthOptions),
  'source types': sourceTypeTable(clientCredential),
  'client credentials': optionTable(clientCredential.options[0]),
  certificates: credentialTable(clientCredential, kind => ['Path', 'Base64Encoded', 'KeyVault'].includes(kind)),
  'signed assertions': credentialTable(clientCredential, kind => kind.includes('SignedAssertion')),
}

/** A page with the blocks between its markers brought up to date. */
export function withBlocks (page: string): string {
  return page.replace(/(<!-- begin:(.+?) -->\n).*?(<!-- end:\2 -->)/gs, (whole, begin: string, name: string, end: string) => {
    const block = blocks[name]
    return block === undefined ? whole : `${begin}\n${block}\n\n${end}`
  })
}

/** Key, type, default and meaning of every option that does something. */
export function optionTable (schema: v.GenericSchema, defaults: Values = {}): string {
  return table(['key', 'type', 'default', 'meaning'], optionsOf(schema, defaults).map(({ key, type, default: value = '', meaning }) => [`\`${key}\``, type, value, meaning]))
}

export function optionsOf (schema: v.GenericSchema, defaults: Values = {}): Option[] {
  return Object.entries(entriesOf(schema)).filter(([, entry]) => !isRefused(entry) && !['unknown', 'literal'].includes(bare(entry).type)).flatMap(([key, entry]) => {
    const value = defaults[key]
    if (isObject(value) && Object.keys(value).length > 0) return optionsOf(bare(entry), value).map(option => ({ ...option, key: `${key}.${option.key}` }))

    const [meaning = '', told] = (descriptionOf(entry) ?? '').split(/ ?Default: (.*)\.$/)
    return { key, type: typeOf(entry), default: key in defaults ? shown(value) : told, meaning }
  })
}

/** Keys that .NET has, and why they are refused. */
function refusedTable (schema: v.GenericSchema): string {
  return table(['key', 'why'], Object.entries(entriesOf(schema)).filter(([, entry]) => isRefused(entry)).map(([key, entry]) => [`\`${key}\``, String(bare(entry).message)]))
}

/** The kinds of a variant: what each has beside the keys that all have, and whether it is served. */
function sourceTypeTable ({ options }: { options: readonly v.GenericSchema[] }): string {
  const kinds = options.map(option => entriesOf(option))
  const isCommon = (key: string) => kinds.every(entries => key in entries)
  return table(['`SourceType`', 'keys', 'served'], options.map((option, index) => {
    const entries = kinds[index]!
    const own = Object.keys(entries).filter(key => !isCommon(key))
    return [`\`${String(bare(entries['sourceType']!).literal)}\``, own.map(key => `\`${key}\``).join(', '), String(v.getMetadata(option)['fault'] ?? 'yes')]
  }))
}

/** The keys of the kinds of a variant whose names hold `part`, beside those that all have. */
function credentialTable ({ options }: { options: readonly v.GenericSchema[] }, isWanted: (kind: string) => boolean): string {
  const isCommon = (key: string) => options.every(option => key in entriesOf(option))
  return table(['`SourceType`', 'key', 'type', 'default', 'meaning'], options.flatMap(option => {
    const kind = String(bare(entriesOf(option)['sourceType']!).literal)
    return isWanted(kind) ? optionsOf(option).filter(({ key }) => !isCommon(key)).map(({ key, type, default: value = '', meaning }) => [`\`${kind}\``, `\`${key}\``, type, value, meaning]) : []
  }))
}

function table (head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`.replace(/ {2,}/g, ' ')
  return [line(head), `|${head.map(() => '---|').join('')}`, ...rows.map(line)].join('\n')
}

/** What a value looks like, in the words with which the schema refuses others. */
function typeOf (entry: Schema): string {
  const schema = bare(entry)
  const actions = actionsOf(schema)
  const choices = [schema, ...actions].find(({ type }) => type === 'picklist') as Schema | undefined
  if (choices !== undefined) return (choices.options as string[]).map(choice => `\`${choice}\``).join(', ')
  if (schema.type === 'array') return `list of ${plural(typeOf(schema.item!))}`
  if (schema.type === 'record') return bare(schema.value!).type === 'unknown' ? 'object' : `object of ${plural(typeOf(schema.value!))}`
  const expected = [schema, ...actions].map(({ message }) => expectation(message)).find(text => text !== undefined)
  switch (schema.type) {
    case 'string': return expected === undefined || expected.startsWith('text') ? 'text' : expected
    case 'number': return `${expected ?? 'number'}${rangeOf(actions)}`
    case 'boolean': return '`true`, `false`'
    case 'literal': return `\`${String(schema.literal)}\``
    case 'strict_object':
    case 'variant': return 'object'
    case 'union': return expected ?? (schema.options as Schema[]).map(typeOf).join(', ')
    default: return expected ?? schema.type
  }
}

/** What a message says that it expects, without articles and explanations. */
function expectation (message: unknown): string | undefined {
  const [, expected] = typeof message === 'string' ? /^expected (?:an? )?([^:]*)/.exec(message) ?? [] : []
  return expected?.startsWith('at ') ? undefined : expected
}

/** What a schema is piped through, pipes in pipes included. */
function actionsOf ({ pipe = [] }: Schema): (Schema | Action)[] {
  return pipe.flatMap(part => 'pipe' in part && part.pipe !== undefined ? actionsOf(part) : [part])
}

function rangeOf (actions: readonly (Schema | Action)[]): string {
  const [min, max] = ['min_value', 'max_value'].map(type => (actions.find(action => action.type === type) as Action | undefined)?.requirement) as [number?, number?]
  if (min === undefined) return ''
  return max === undefined ? ` from ${shown(min)} on` : `, ${shown(min)} to ${shown(max)}`
}

function plural (type: string): string {
  return type.replace(/^(\w+)(, or \1)?$/, '$1s')
}

function shown (value: unknown): string {
  if (typeof value === 'number') return value.toLocaleString('en-US')
  if (isObject(value)) return 'none'
  return value === '' ? 'empty' : `\`${String(value)}\``
}

/** An option that is there to be refused with a message of its own. */
function isRefused (entry: Schema): boolean {
  return bare(entry).type === 'undefined'
}

function descriptionOf (entry: Schema): string | undefined {
  return v.getDescription(entry) ?? (entry.wrapped && descriptionOf(entry.wrapped))
}

function entriesOf (schema: v.GenericSchema): Readonly<Record<string, Schema>> {
  return bare(schema as Schema).entries ?? {}
}

/** The schema without what makes it optional. */
function bare (schema: Schema): Schema {
  return schema.wrapped === undefined ? schema : bare(schema.wrapped)
}

function isObject (value: unknown): value is Values {
  return typeof value === 'object' && value !== null
}
