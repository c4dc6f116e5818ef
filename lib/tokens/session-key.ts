import { findEntry, isSection } from '../configuration/own-entries.ts'
import { ConfigurationError } from '../errors.ts'

/**
 * Writes a session key into the options that a call was made with, as .NET does.
 *
 * @param given the options of a call: its `acquireTokenOptions`, or what holds them
 * @throws ConfigurationError where they cannot be written to
 */
export function writeSessionKey (given: unknown, sessionKey: string): void {
  const [, inner] = isSection(given) ? findEntry(given, 'acquireTokenOptions') ?? [] : []
  const options = isSection(inner) ? inner : given
  const [name] = isSection(options) ? findEntry(options, 'longRunningWebApiSessionKey') ?? [] : []
  if (name === undefined || !Reflect.set(options as object, name, sessionKey)) {
    throw new ConfigurationError(['longRunningWebApiSessionKey: the key that is made for the call cannot be written into its options: give it in an object that is not frozen'])
  }
}
