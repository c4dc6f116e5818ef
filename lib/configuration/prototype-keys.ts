import { isPlain } from './freeze.ts'

const prototypeKeys = new Set(['__proto__', 'constructor', 'prototype'])

/** Whether a key could reach an object's prototype: such keys are refused wherever they come from. */
export function isPrototypeKey (key: string): boolean {
  return prototypeKeys.has(key.trim().toLowerCase())
}

/** The fault that a prototype key is. */
export function prototypeKeyFault (path: string): string {
  return `${path}: this key is not allowed`
}

/** Adds a fault for every prototype key inside `value`, at any depth. */
export function refusePrototypeKeys (value: unknown, path: string, faults: string[], seen = new Set<unknown>()): void {
  if (!isPlain(value) || seen.has(value)) return
  seen.add(value)
  for (const [key, item] of Object.entries(value)) {
    const below = Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`
    if (isPrototypeKey(key)) faults.push(prototypeKeyFault(below))
    else refusePrototypeKeys(item, below, faults, seen)
  }
}
