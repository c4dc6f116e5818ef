import { ConfigurationError } from '../errors.ts'

/** What `work` gives; `undefined` when there are configuration faults, which are added to `faults`. */
export function collecting<T> (faults: string[], work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    faults.push(...error.faults)
    return undefined
  }
}
