import { EntraRefusal } from './entra-error.ts'

/**
 * A parameter that a token request cannot be without.
 *
 * @throws EntraRefusal when it is missing or empty
 */
export function required (form: Readonly<Record<string, string>>, name: string): string {
  const value = form[name]
  if (value === undefined || value === '') throw new EntraRefusal(900144, `It is '${name}'.`)
  return value
}
