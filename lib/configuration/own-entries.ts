const prototypeKeys = new Set(['__proto__', 'constructor', 'prototype'])

/** Whether a key could reach an object's prototype: such keys are refused wherever they come from. */
export function isPrototypeKey (key: string): boolean {
  return prototypeKeys.has(key.trim().toLowerCase())
}

/** Whether `value` is an object with keys of its own, rather than a list, a function or an instance of something. */
export function isSection (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The entry of `section` whose key is `key` in any letter case, with the key as it is spelt. */
export function findEntry (section: Record<string, unknown>, key: string): [spelling: string, value: unknown] | undefined {
  const wanted = key.toLowerCase()
  return Object.entries(section).find(([spelling]) => spelling.toLowerCase() === wanted)
}
