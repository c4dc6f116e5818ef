/** `value` with all plain objects and lists in it frozen; functions, signals and dispatchers are left as they are. */
export function deepFreeze<T> (value: T): T {
  if (!isPlain(value) || Object.isFrozen(value)) return value
  for (const item of Object.values(value)) deepFreeze(item)
  return Object.freeze(value)
}

/** A copy of `value` in which no plain object and no list is shared with it. */
export function deepCopy<T> (value: T): T {
  if (!isPlain(value)) return value
  if (Array.isArray(value)) return value.map(deepCopy) as T
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, deepCopy(item)])) as T
}

function isPlain (value: unknown): value is object {
  return Array.isArray(value) || (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype)
}
