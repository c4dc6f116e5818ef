import * as v from 'valibot'
import { isPrototypeKey, isSection } from './own-entries.ts'
import { inStyleOf, suggestion } from './suggestion.ts'

/** Where a value stands, in the user's own spelling, and the faults that were found so far. */
export interface Reading {
  readonly faults: string[]
  /** The user's spelling of a path, by the path in the schema's names. */
  readonly spelling: Map<string, string>
}

type Schema = v.GenericSchema & { readonly type: string }

/**
 * `value` as `schema` has it: keys in the schema's names, text from the environment as the booleans, numbers and lists
 * that are wanted, `null` as absent. What is wrong with it is added to `faults`, all of it, with paths below `where`.
 */
export function readOptions<T extends v.GenericSchema> (schema: T, value: unknown, where: string, faults: string[]): v.InferOutput<T> | undefined {
  const reading: Reading = { faults: [], spelling: new Map() }
  const normalised = normalise(schema, value, where, where, reading)
  const result = v.safeParse(schema, normalised)
  for (const issue of result.issues ?? []) {
    reading.faults.push(`${pathOf(issue, where, reading)}: ${messageOf(issue)}`)
  }
  faults.push(...reading.faults)
  return reading.faults.length === 0 && result.success ? result.output : undefined
}

function normalise (schema: v.GenericSchema, value: unknown, path: string, spelt: string, reading: Reading): unknown {
  reading.spelling.set(path, spelt)
  const bare = unwrap(schema)
  if (value === null) return undefined
  switch (bare.type) {
    case 'strict_object': return isSection(value) ? normaliseObject((bare as unknown as { entries: Entries }).entries, value, path, spelt, reading) : value === true && isManagedIdentity(bare) ? {} : value
    case 'variant': return isSection(value) ? normaliseVariant(bare as unknown as Variant, value, path, spelt, reading) : value
    case 'record': return isSection(value) ? normaliseRecord(bare as unknown as { value: Schema }, value, path, spelt, reading) : value
    case 'array': return normaliseArray((bare as unknown as { item: Schema }).item, value, path, spelt, reading)
    case 'boolean': return typeof value === 'string' && /^(true|false)$/i.test(value.trim()) ? /^true$/i.test(value.trim()) : value
    case 'number': return typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : value
    case 'picklist': return normaliseChoice((bare as unknown as { options: string[] }).options, value)
    case 'undefined': return value === '' ? undefined : value
    default: return value
  }
}

type Entries = Record<string, Schema>
interface Variant { readonly key: string, readonly options: readonly { readonly entries: Entries }[] }

function normaliseObject (entries: Entries, value: Record<string, unknown>, path: string, spelt: string, reading: Reading): Record<string, unknown> {
  const names = new Map(Object.keys(entries).map(name => [name.toLowerCase(), name]))
  const result: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    const name = names.get(key.toLowerCase())
    if (isPrototypeKey(key)) reading.faults.push(`${spelt}.${key}: this key is not allowed`)
    else if (name === undefined) reading.faults.push(`${spelt}.${key}: ${unknownKey(key, Object.keys(entries))}`)
    else if (Object.hasOwn(result, name)) reading.faults.push(`${spelt}.${key}: the key is there twice, in different letter case`)
    else {
      const item = normalise(entries[name]!, value[key], `${path}.${name}`, `${spelt}.${key}`, reading)
      // An empty text is how .NET and the environment say "none" of an id.
      result[name] = item === '' && name.startsWith('userAssigned') ? undefined : item
    }
  }
  return Object.fromEntries(Object.entries(result).filter(([, item]) => item !== undefined))
}

function unknownKey (key: string, known: readonly string[]): string {
  const meant = suggestion(key, known)
  return meant === undefined ? 'unknown key' : `unknown key, did you mean ${inStyleOf(key, meant)}?`
}

/** A variant is told apart by one of its keys, whose value is as insensitive to letter case as the keys are. */
function normaliseVariant ({ key, options }: Variant, value: Record<string, unknown>, path: string, spelt: string, reading: Reading): unknown {
  const kindOf = ({ entries }: { entries: Entries }) => (entries[key] as unknown as { literal: string }).literal
  const [spelling, given] = Object.entries(value).find(([name]) => name.toLowerCase() === key.toLowerCase()) ?? []
  const option = options.find(option => typeof given === 'string' && kindOf(option).toLowerCase() === given.toLowerCase())
  // The kind is wrong or missing: the schema says so, and nothing else can be said of the rest.
  if (option === undefined) return { [key]: given }
  return normaliseObject(option.entries, { ...value, [spelling!]: kindOf(option) }, path, spelt, reading)
}

function normaliseRecord ({ value: item }: { value: Schema }, value: Record<string, unknown>, path: string, spelt: string, reading: Reading): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    if (isPrototypeKey(key)) {
      reading.faults.push(`${spelt}.${key}: this key is not allowed`)
      continue
    }
    const given = value[key]
    const asText = unwrap(item).type === 'string' && (typeof given === 'number' || typeof given === 'boolean') ? String(given) : given
    const entry = normalise(item, asText, `${path}.${key}`, `${spelt}.${key}`, reading)
    if (entry !== undefined) result[key] = entry
  }
  return result
}

function normaliseArray (item: Schema, value: unknown, path: string, spelt: string, reading: Reading): unknown {
  const list = typeof value === 'string' ? value.split(/\s+/).filter(Boolean) : isSection(value) ? indexed(value) : value
  if (!Array.isArray(list)) return value
  return list.filter(entry => entry !== undefined).map((entry, index) => normalise(item, entry, `${path}.${index}`, `${spelt}[${index}]`, reading))
}

/** The list that `{ 0: a, 1: b }` stands for, as the environment writes lists; anything else as it is. */
function indexed (value: Record<string, unknown>): unknown {
  const keys = Object.keys(value)
  return keys.length > 0 && keys.every(key => /^\d{1,4}$/.test(key)) ? keys.sort((a, b) => Number(a) - Number(b)).map(key => value[key]) : value
}

function normaliseChoice (options: readonly string[], value: unknown): unknown {
  return typeof value === 'string' ? options.find(option => option.toLowerCase() === value.toLowerCase()) ?? value : value
}

function isManagedIdentity (schema: Schema): boolean {
  return 'userAssignedClientId' in (schema as unknown as { entries: Entries }).entries
}

function unwrap (schema: v.GenericSchema): Schema {
  return 'wrapped' in schema ? unwrap(schema.wrapped as Schema) : schema as Schema
}

function pathOf (issue: v.BaseIssue<unknown>, where: string, { spelling }: Reading): string {
  const path = [where, ...(issue.path ?? []).map(({ key }) => String(key))]
  const spelt = spelling.get(path.join('.'))
  if (spelt !== undefined) return spelt
  // The key is missing, so that nobody has spelt it.
  const parent = spelling.get(path.slice(0, -1).join('.')) ?? path.slice(0, -1).join('.')
  return `${parent}.${inStyleOf(parent.split('.').at(-1) ?? '', path.at(-1)!)}`
}

const expectations: Readonly<Record<string, string>> = { string: 'text', boolean: 'true or false', number: 'a number', Array: 'a list', Object: 'an object', undefined: 'nothing' }

function messageOf (issue: v.BaseIssue<unknown>): string {
  const isMissing = issue.kind === 'schema' && issue.received === 'undefined'
  if (isMissing) return 'is missing'
  if (issue.type === 'variant') return `unknown kind; expected ${issue.expected}`
  const own = issue.kind === 'validation' || ['custom', 'union', 'picklist', 'undefined'].includes(issue.type)
  return own ? issue.message : `expected ${expectations[issue.expected ?? ''] ?? issue.expected}`
}
