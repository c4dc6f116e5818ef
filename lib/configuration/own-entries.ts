/** Whether `value` is an object with keys of its own, rather than a list or a function. */
export function isSection (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The entries of `section` whose keys are `key` in any letter case, with the keys as they are spelt. */
export function entriesOf (section: Record<string, unknown>, key: string): [spelling: string, value: unknown][] {
  const wanted = key.toLowerCase()
  return Object.entries(section).filter(([spelling]) => spelling.toLowerCase() === wanted)
}

/** The first of {@link entriesOf}. */
export function findEntry (section: Record<string, unknown>, key: string): [spelling: string, value: unknown] | undefined {
  return entriesOf(section, key)[0]
}
