/**
 * The object that `text` is as JSON; `undefined` for any other value, and for what is no JSON.
 *
 * @param reviver as that of `JSON.parse`
 */
export function jsonObject (text: string, reviver?: (key: string, value: unknown) => unknown): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text, reviver)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : undefined
  } catch {
    return undefined
  }
}
