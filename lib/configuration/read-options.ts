import * as v from 'valibot'
import { isJsonText } from './json-text.ts'
import { normalise, type Reading } from './normalise.ts'
import { inStyleOf, suggestion } from './suggestion.ts'

/**
 * `value` as `schema` has it, as a value of its own. What is wrong with it is added to `faults`: all of it, in the user's own
 * spelling, with paths below `where`, and without any configured value, which may be a secret.
 *
 * @param jsonText whether text may be the JSON of an object or list, as in the environment
 */
export function readOptions<T extends v.GenericSchema> (schema: T, value: unknown, where: string, faults: string[], { jsonText = false } = {}): v.InferOutput<T> | undefined {
  const reading: Reading = { faults: [], spelling: new Map(), jsonText }
  const result = v.safeParse(schema, normalise(schema, value, { path: where, spelt: where }, reading))
  for (const issue of result.issues ?? []) reading.faults.push(faultOf(issue, where, reading))
  faults.push(...reading.faults)
  return reading.faults.length === 0 && result.success ? result.output : undefined
}

function faultOf (issue: v.BaseIssue<unknown>, where: string, { spelling }: Reading): string {
  const path = [where, ...(issue.path ?? []).map(({ key }) => String(key))]
  const spelt = spelling.get(path.join('.'))
  if (spelt !== undefined) return `${spelt}: ${isAbsent(issue) ? 'is empty' : messageOf(issue)}`

  // The key is missing, so that nobody has spelt it.
  const parent = spelling.get(path.slice(0, -1).join('.'))!
  return `${parent}.${inStyleOf(lastName(parent), path.at(-1)!)}: is missing`
}

function isAbsent ({ kind, received }: v.BaseIssue<unknown>): boolean {
  return kind === 'schema' && received === 'undefined'
}

function lastName (path: string): string {
  return path.split('.').at(-1)!
}

const expectations: Readonly<Record<string, string>> = { string: 'text', boolean: 'true or false', number: 'a number', Array: 'a list', Object: 'an object' }

/** What was expected. The messages of the schema library hold the value; only those that our schemas give are passed on. */
function messageOf (issue: v.BaseIssue<unknown>): string {
  if (issue.type === 'variant' && issue.expected !== 'Object') return kindMessage(issue)
  if (!issue.message.startsWith('Invalid ')) return issue.message
  const expected = `expected ${expectations[issue.expected!]}`
  return isJsonText(issue.input) ? `${expected}, and the text is not valid JSON` : expected
}

function kindMessage ({ input, expected }: v.BaseIssue<unknown>): string {
  const kinds = [...expected!.matchAll(/"(\w+)"/g)].map(([, kind]) => kind!)
  const meant = typeof input === 'string' ? suggestion(input, kinds) : undefined
  return meant === undefined ? `expected one of ${kinds.join(', ')}` : `unknown kind, did you mean ${meant}?`
}
