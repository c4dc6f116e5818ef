import { TokenAcquisitionError } from '../errors.ts'

/** The store of sessions does not work now. It says nothing of the identity provider. */
export class SessionUnavailableError extends TokenAcquisitionError {
  constructor (message: string) {
    super(message, { retryable: true })
  }
}
