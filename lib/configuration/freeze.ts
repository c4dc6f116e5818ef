/** `value` with all plain objects and lists in it frozen; functions, signals and other instances are left as they are. */
export function deepFreeze<T> (value: T): T {
  if (!isPlain(value) || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const item of Object.values(value)) deepFreeze(item)
  return value
}

/** A copy of `value` in which no plain object and no list is shared with it. */
export function deepCopy<T> (value: T): T {
  if (!isPlain(value)) return value
  if (Array.isArray(value)) return value.map(deepCopy) as T
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, deepCopy(item)])) as T
}

/** Whether `value` is a list or an object that is nothing but its entries. */
export function isPlain (value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return Array.isArray(value) || prototype === Object.prototype || prototype === null
}
