import * as v from 'valibot'
import { deepCopy } from './freeze.ts'
import { fromJson } from './json-text.ts'
import { isSection } from './own-entries.ts'
import { isPrototypeKey, prototypeKeyFault, refusePrototypeKeys } from './prototype-keys.ts'
import { inStyleOf, suggestion } from './suggestion.ts'

/** What is learnt while values are read. */
export interface Reading {
  readonly faults: string[]
  /** The user's spelling of a path, by the path in the schema's names. */
  readonly spelling: Map<string, string>
  /** Whether text may be the JSON of an object or list, as in the environment. */
  readonly jsonText: boolean
}

/** Where a value stands: in the schema's names, and as the user has spelt it. */
export interface Place {
  readonly path: string
  readonly spelt: string
}

type Schema = v.GenericSchema & { readonly type: string }
type Entries = Readonly<Record<string, Schema>>
interface ObjectSchema { readonly entries: Entries }
interface VariantSchema { readonly key: string, readonly options: readonly (Schema & ObjectSchema)[] }

/**
 * `value` in the form that `schema` wants: keys in the schema's names; text as the boolean, number, list or choice that is wanted;
 * `null`, and text that is empty where it must not be, as absent. Shares no object with `value`. What has no such form is left for the schema to refuse.
 */
export function normalise (schema: v.GenericSchema, value: unknown, place: Place, reading: Reading): unknown {
  reading.spelling.set(place.path, place.spelt)
  const bare = unwrap(schema)
  switch (bare.type) {
    case 'strict_object': return normaliseObject(bare as Schema & ObjectSchema, objectFrom(bare, value, reading), place, reading)
    case 'variant': return normaliseVariant(bare as unknown as VariantSchema, value, place, reading)
    case 'record': return normaliseRecord((bare as unknown as { value: Schema }).value, reading.jsonText ? fromJson(value) : value, place, reading)
    case 'array': return normaliseArray(unwrap((bare as unknown as { item: Schema }).item), reading.jsonText ? fromJson(value) : value, place, reading)
    case 'boolean': return typeof value === 'string' && /^\s*(true|false)\s*$/i.test(value) ? isTrue(value) : value ?? undefined
    case 'number': return typeof value === 'string' && /^\s*-?\d+(\.\d+)?\s*$/.test(value) ? Number(value) : value ?? undefined
    case 'picklist': return normaliseChoice((bare as unknown as { options: readonly string[] }).options, value)
    case 'string': return value === '' && !v.is(bare, '') ? undefined : value ?? undefined
    case 'undefined': return value === '' || value === false ? undefined : value ?? undefined
    case 'unknown': return normaliseUnknown(value, place, reading)
    // Only values of a query may be null: it takes one of the API's parameters back.
    default: return value === null && bare.type !== 'union' ? undefined : value
  }
}

function objectFrom (schema: Schema, value: unknown, { jsonText }: Reading): unknown {
  const { trueMeansEmpty, falseMeansAbsent } = v.getMetadata(schema) as Record<string, unknown>
  if (trueMeansEmpty === true && isTrue(value)) return {}
  if (falseMeansAbsent === true && isFalse(value)) return undefined
  return jsonText ? fromJson(value) : value
}

function normaliseObject (schema: Schema & ObjectSchema, value: unknown, { path, spelt }: Place, reading: Reading): unknown {
  if (!isSection(value)) return notASection(value, spelt, reading)
  const { entries } = schema
  const result: Record<string, unknown> = {}
  const seen = new Set<string>()
  for (const [key, given] of Object.entries(value)) {
    const name = nameIn(entries, key)
    const at = `${spelt}.${key}`
    if (isPrototypeKey(key)) reading.faults.push(prototypeKeyFault(at))
    else if (name === undefined) reading.faults.push(`${at}: ${unknownKey(key, Object.keys(entries))}`)
    else if (seen.has(name)) reading.faults.push(`${at}: the key is there twice, in different letter case`)
    else if (isEmpty(given) && (v.getMetadata(schema) as Record<string, unknown>)['isSelector'] === true) reading.faults.push(`${at}: is empty; leave the key out if nothing is to be selected`)
    else {
      seen.add(name)
      const item = normalise(entries[name]!, given, { path: `${path}.${name}`, spelt: at }, reading)
      if (item !== undefined) result[name] = item
    }
  }
  return result
}

/** The schema refuses what is no object, but takes a list for one. */
function notASection (value: unknown, spelt: string, { faults }: Reading): unknown {
  if (!Array.isArray(value)) return value ?? undefined
  faults.push(`${spelt}: expected an object`)
  return undefined
}

/** The schema's name for `key`; code spells it like that, so that nothing needs to be searched. */
function nameIn (entries: Entries, key: string): string | undefined {
  return Object.hasOwn(entries, key) ? key : Object.keys(entries).find(name => name.toLowerCase() === key.toLowerCase())
}

function unknownKey (key: string, known: readonly string[]): string {
  const meant = suggestion(key, known)
  return meant === undefined ? 'unknown key' : `unknown key, did you mean ${inStyleOf(key, meant)}?`
}

/** A variant is told apart by one of its keys, whose value is as insensitive to letter case as the keys are. */
function normaliseVariant ({ key, options }: VariantSchema, value: unknown, place: Place, reading: Reading): unknown {
  if (!isSection(value)) return value ?? undefined
  const kindOf = ({ entries }: ObjectSchema) => (entries[key] as unknown as { literal: string }).literal
  const [spelling, given] = Object.entries(value).find(([name]) => name.toLowerCase() === key.toLowerCase()) ?? [key, undefined]
  const option = options.find(option => typeof given === 'string' && kindOf(option).toLowerCase() === given.trim().toLowerCase())
  if (option !== undefined) return normaliseObject(option, { ...value, [spelling]: kindOf(option) }, place, reading)

  // The schema refuses the kind; nothing can be said of the other keys.
  if (given !== undefined) reading.spelling.set(`${place.path}.${key}`, `${place.spelt}.${spelling}`)
  return { [key]: given }
}

function normaliseRecord (item: Schema, value: unknown, { path, spelt }: Place, reading: Reading): unknown {
  if (!isSection(value)) return notASection(value, spelt, reading)
  const wantsText = unwrap(item).type === 'string'
  const result: Record<string, unknown> = {}
  for (const [key, given] of Object.entries(value)) {
    const at = `${spelt}.${key}`
    if (isPrototypeKey(key)) {
      reading.faults.push(prototypeKeyFault(at))
      continue
    }
    const text = wantsText && (typeof given === 'number' || typeof given === 'boolean') ? String(given) : given
    const entry = normalise(item, text, { path: `${path}.${key}`, spelt: at }, reading)
    if (entry !== undefined) result[key] = entry
  }
  return result
}

function normaliseArray (item: Schema, value: unknown, { path, spelt }: Place, reading: Reading): unknown {
  const list = typeof value === 'string' && item.type === 'string' ? value.split(/\s+/).filter(Boolean) : isSection(value) ? indexed(value) : value
  if (!Array.isArray(list)) return list ?? undefined
  // Filtering leaves out what a list from the environment does not count.
  return list.filter(() => true).map((entry, index) => normalise(item, entry, { path: `${path}.${index}`, spelt: `${spelt}[${index}]` }, reading))
}

/** The list that `{ 0: a, 1: b }` stands for, as settings are written key by key; anything else as it is. */
function indexed (value: Record<string, unknown>): unknown {
  const keys = Object.keys(value)
  return keys.length > 0 && keys.every(key => /^\d{1,3}$/.test(key)) ? keys.sort((a, b) => Number(a) - Number(b)).map(key => value[key]) : value
}

function normaliseChoice (options: readonly string[], value: unknown): unknown {
  if (typeof value !== 'string') return value ?? undefined
  return value === '' ? undefined : options.find(option => option.toLowerCase() === value.trim().toLowerCase()) ?? value
}

function normaliseUnknown (value: unknown, { spelt }: Place, reading: Reading): unknown {
  refusePrototypeKeys(value, spelt, reading.faults)
  return deepCopy(value) ?? undefined
}

function isEmpty (value: unknown): boolean {
  return value === undefined || value === null || value === ''
}

function isTrue (value: unknown): boolean {
  return value === true || (typeof value === 'string' && /^\s*true\s*$/i.test(value))
}

function isFalse (value: unknown): boolean {
  return value === false || (typeof value === 'string' && /^\s*false\s*$/i.test(value))
}

function unwrap (schema: v.GenericSchema): Schema {
  return 'wrapped' in schema ? unwrap(schema.wrapped as Schema) : schema as Schema
}
