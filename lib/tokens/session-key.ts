import { findEntry, isSection } from '../configuration/own-entries.ts'
import { ConfigurationError } from '../errors.ts'

/** The session key that stands for one that is yet to be made, as in .NET. */
export const ALLOCATE_FOR_ME = 'AllocateForMe'

/**
 * Writes a session key into the options that a call was made with, as .NET does.
 *
 * @param given the options of a call: its `acquireTokenOptions`, or what holds them
 * @throws ConfigurationError where they cannot be written to
 */
export function writeSessionKey (given: unknown, sessionKey: string): void {
  const [, inner] = isSection(given) ? findEntry(given, 'acquireTokenOptions') ?? [] : []
  const options = isSection(inner) ? inner : given
  const [name, before] = isSection(options) ? findEntry(options, 'longRunningWebApiSessionKey') ?? [] : []
  // In options that two calls share, the key of the one would stand for the work of the other.
  if (name === undefined || before !== ALLOCATE_FOR_ME || !Reflect.set(options as object, name, sessionKey)) {
    throw new ConfigurationError(['longRunningWebApiSessionKey: the key that is made for the call cannot be written into its options: give it in an object that is not frozen, and that no other call has'])
  }
}
