/** Whether a value is text that wants to be a JSON object or list, as one variable of the environment holds a section. */
export function isJsonText (value: unknown): value is string {
  return typeof value === 'string' && /^\s*[{[]/.test(value)
}

/** The value of a section or list that is given as JSON text; anything else, text that does not parse included, as it is. */
export function fromJson (value: unknown): unknown {
  if (!isJsonText(value)) return value
  try {
    return JSON.parse(value) as unknown
  } catch {
    return value
  }
}
