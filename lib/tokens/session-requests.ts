import { randomBytes } from 'node:crypto'
import { ForbiddenError, UserTokenRequiredError } from '../errors.ts'
import type { Caller } from '../inbound/caller.ts'
import { notYours, ownerOf, type SessionHead } from '../sessions/sessions.ts'
import { ALLOCATE_FOR_ME } from './session-key.ts'
import { prepare, type LongRunningRequest, type PreparedRequest } from './token-request.ts'

export interface SessionRequestsOptions {
  /** As the call has it. */
  readonly sessionKey: string
  /** The request for a session. */
  readonly like: (session: Pick<LongRunningRequest, 'sessionKey' | 'owner' | 'userTenant' | 'userAssertion'>) => LongRunningRequest
  /** Whose the session with that key is; `undefined` where there is none. */
  readonly find: (sessionKey: string) => Promise<SessionHead | undefined>
  /** Forgets the token that is at hand from a session that has ended. */
  readonly forget: (prepared: PreparedRequest) => void
  readonly api: string | undefined
}

/** What a call asks for that goes on for a user after the user's token has ended. */
export class SessionRequests {
  readonly #options: SessionRequestsOptions

  constructor (options: SessionRequestsOptions) {
    this.#options = options
  }

  /**
   * @param caller who begins the session, or goes on with it; `undefined` for work without a request
   * @param allocated is told the key that was made for the call
   * @throws UserTokenRequiredError where there is neither a session nor a caller
   * @throws ForbiddenError where the session is another user's, or the caller is an app
   */
  async of (caller: Caller | undefined, allocated: (sessionKey: string) => void): Promise<PreparedRequest> {
    const { find, forget, api, like } = this.#options
    if (caller?.kind === 'app') throw new ForbiddenError('A long-running session is a user\'s, and the caller is an app: leave the caller out to go on with a session')
    const isNew = this.#options.sessionKey === ALLOCATE_FOR_ME
    const sessionKey = isNew ? randomBytes(32).toString('base64url') : this.#options.sessionKey
    const session = isNew ? undefined : await find(sessionKey)
    if (session !== undefined && caller !== undefined && session.owner !== ownerOf(caller)) throw notYours()
    const { owner, tenantId } = session ?? headOf(caller)
    if (isNew) allocated(sessionKey)
    const prepared = prepare(like({ sessionKey, owner, userTenant: tenantId, userAssertion: caller?.assertion }), api)
    if (session === undefined) forget(prepared)
    return prepared
  }
}

function headOf (caller: Caller | undefined): SessionHead {
  if (caller === undefined) throw new UserTokenRequiredError('There is no long-running session with this key, or it has ended: begin one in a request of the user')
  return { owner: ownerOf(caller), tenantId: caller.tenantId }
}
