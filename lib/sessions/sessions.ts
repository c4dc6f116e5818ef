import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Authority } from '../authorities/authority.ts'
import { ForbiddenError, TokenAcquisitionError, UserTokenRequiredError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { entryName } from '../store/entry-name.ts'
import { OPERATION_TIMEOUT } from '../store/fail-open-store.ts'
import { failureReason } from '../store/failure-reason.ts'
import { TokenCipher } from '../store/token-cipher.ts'
import type { TokenStore } from '../store/token-store.ts'
import { withinLimit, type Clock } from '../tokens/clock.ts'
import { SessionUnavailableError } from './session-unavailable.ts'

/** What goes on for a user after the user's token has ended. */
export interface Session {
  /** Whose it is: {@link ownerOf} of the caller who began it. */
  readonly owner: string
  /** As whom it was begun: {@link clientOf} of the app section. Its refresh token is nobody else's. */
  readonly client: string
  /** The owner's. */
  readonly tenantId: string
  readonly refreshToken: string
}

/** What is said of a session, with nothing in it that lets call. */
export type SessionHead = Omit<Session, 'client' | 'refreshToken'>

export interface SessionsOptions {
  /** Where sessions outlive the process; without it, they end with it. */
  readonly shared: { readonly store: TokenStore, readonly cipher: TokenCipher } | undefined
  /** How many sessions are kept in the process. */
  readonly maxEntries: number
  readonly clock: Clock
  readonly logger: Logger
}

/** Milliseconds for which nobody needs to have asked: as long as a refresh token lives without use (https://learn.microsoft.com/entra/identity-platform/refresh-tokens). */
const LIFE = 90 * 24 * 3_600_000
/** Milliseconds for which what is said of a session is not looked up again. */
const HEAD_LIFE = 60_000
/** How many sessions that were ended are remembered, so that what is under way does not bring them back. */
const MAX_ENDED = 1_000

/** Whose a session is, so that a key that somebody else has learnt is of no use with their own token. */
export function ownerOf ({ tenantId, claims: { oid, sub } }: { readonly tenantId: string, readonly claims: { readonly oid?: unknown, readonly sub?: unknown } }): string {
  return `${tenantId}/${String(oid ?? sub)}`
}

/** Whom a refresh token is given to, so that no other app and no other authority ever sees it. */
export function clientOf ({ instance, policy, clientId }: Pick<Authority, 'instance' | 'policy' | 'clientId'>): string {
  return [instance, policy ?? '', clientId].join(' ')
}

/**
 * The refresh tokens of long-running work, by session keys; encrypted wherever they lie.
 *
 * Where there is a store that processes share, it decides what sessions there are. While it does not work, those that this process has seen go on.
 */
export class Sessions {
  readonly #options: SessionsOptions
  readonly #cipher: TokenCipher
  /** Encrypted, by name. */
  readonly #seen: LRUCache<string, string>
  readonly #heads: LRUCache<string, SessionHead & { readonly until: number }>
  /** When sessions were ended, by name, on {@link Clock.elapsed}. */
  readonly #ended = new LRUCache<string, number>({ max: MAX_ENDED })
  /** The last of what is being kept, by name: one after the other, so that no user takes the place of another. */
  readonly #keeping = new Map<string, Promise<void>>()

  constructor (options: SessionsOptions) {
    const { shared, maxEntries: max } = options
    this.#options = options
    this.#cipher = shared?.cipher ?? new TokenCipher([{ id: 'process', key: randomBytes(32) }])
    this.#seen = new LRUCache({ max })
    this.#heads = new LRUCache({ max })
  }

  /**
   * Whose a session is; `undefined` where there is none.
   *
   * @throws TokenAcquisitionError when that cannot be found out now
   */
  async head (key: string): Promise<SessionHead | undefined> {
    const known = this.#heads.get(entryName('session', key))
    return known !== undefined && this.#options.clock.elapsed() < known.until ? known : this.find(key)
  }

  /**
   * @param client as whom the session is gone on with: {@link clientOf}
   * @throws ForbiddenError when it is another user's
   * @throws TokenAcquisitionError when it is another app's, or that cannot be found out now
   */
  async findOf (key: string, { owner, client }: Pick<Session, 'owner' | 'client'>): Promise<Session | undefined> {
    const session = await this.find(key)
    if (session === undefined) return undefined
    if (session.owner !== owner) throw notYours()
    if (session.client !== client) throw anotherApps()
    return session
  }

  /** @throws TokenAcquisitionError when that cannot be found out now */
  async find (key: string): Promise<Session | undefined> {
    const name = entryName('session', key)
    const value = await this.#read(name)
    const session = value === undefined ? undefined : readSession(this.#cipher.decrypt(value, name))
    if (session === undefined) this.#forget(name)
    else this.#remember(name, value!, session)
    return session
  }

  /**
   * Keeps a session that was found or is new, with the refresh token that goes on with it.
   *
   * @param since on {@link Clock.elapsed}: where the session was ended after that, it stays so
   * @param isNew whether there was none; where one that there was is gone, another process has ended it
   * @throws ForbiddenError when the key is that of another user's session
   * @throws UserTokenRequiredError when the session has been ended
   * @throws TokenAcquisitionError when it is another app's, and when a new one cannot be kept in the store
   */
  async keep (key: string, session: Session, since: number, isNew: boolean): Promise<void> {
    const name = entryName('session', key)
    const kept = (this.#keeping.get(name) ?? Promise.resolve()).then(() => this.#keep(key, session, since, isNew))
    const ended = kept.catch(() => {}).finally(() => {
      if (this.#keeping.get(name) === ended) this.#keeping.delete(name)
    })
    this.#keeping.set(name, ended)
    return kept
  }

  /** Forgets what the process has of all sessions. */
  close (): void {
    this.#seen.clear()
    this.#heads.clear()
  }

  /** Forgets a session and its refresh token. */
  async end (key: string): Promise<void> {
    const name = entryName('session', key)
    this.#ended.set(name, this.#options.clock.elapsed())
    this.#forget(name)
    if (!await this.#attempt('ended', store => store.delete(name))) {
      throw new TokenAcquisitionError('The session was ended here, and could not be taken out of the token store: end it again', { retryable: true })
    }
  }

  async #keep (key: string, session: Session, since: number, isNew: boolean): Promise<void> {
    const name = entryName('session', key)
    const value = this.#cipher.encrypt(JSON.stringify(session), name)
    const before = await this.findOf(key, session)
    if (this.#hasEnded(name, since) || (before === undefined && !isNew)) throw hasBeenEnded()
    const isKept = (before === undefined && await this.#claim(key, session, value)) || await this.#attempt('kept', store => store.set(name, value, LIFE))
    if (this.#hasEnded(name, since)) {
      await this.#attempt('ended', store => store.delete(name))
      throw hasBeenEnded()
    }
    if (!isKept && before === undefined) throw new SessionUnavailableError('No long-running session: it cannot be kept, since the token store does not work. Try again later')
    this.#remember(name, value, session)
  }

  /** Of two processes that begin a session under one key, one is first: whether that was this one, where the store can tell. */
  async #claim (key: string, session: Session, value: string): Promise<boolean> {
    let isFirst: boolean | undefined
    await this.#attempt('kept', async store => {
      isFirst = await store.setIfAbsent?.(entryName('session', key), value, LIFE)
    })
    if (isFirst === false) await this.findOf(key, session)
    return isFirst === true
  }

  /** Whether the session was ended here after `since`, on {@link Clock.elapsed}. */
  #hasEnded (name: string, since: number): boolean {
    return (this.#ended.get(name) ?? -Infinity) >= since
  }

  #remember (name: string, value: string, { owner, tenantId }: Session): void {
    this.#seen.set(name, value)
    this.#heads.set(name, { owner, tenantId, until: this.#options.clock.elapsed() + HEAD_LIFE })
  }

  #forget (name: string): void {
    this.#seen.delete(name)
    this.#heads.delete(name)
  }

  async #read (name: string): Promise<string | undefined> {
    const { shared, clock } = this.#options
    const seen = this.#seen.get(name)
    if (shared === undefined) return seen
    try {
      const value: unknown = await withinLimit(clock, OPERATION_TIMEOUT, (async () => shared.store.get(name))())
      return typeof value === 'string' ? value : undefined
    } catch (error) {
      if (seen !== undefined) return seen
      throw new SessionUnavailableError(`The session cannot be looked up: the token store does not work: ${failureReason(error)}. Try again later`)
    }
  }

  /** Whether it was done; always where there is no store. */
  async #attempt (what: string, operation: (store: TokenStore) => Promise<unknown>): Promise<boolean> {
    const { shared, clock, logger } = this.#options
    if (shared === undefined) return true
    try {
      await withinLimit(clock, OPERATION_TIMEOUT, (async () => operation(shared.store))())
      return true
    } catch (error) {
      logger.warn({ reason: failureReason(error) }, `a long-running session could not be ${what} in the token store`)
      return false
    }
  }
}

/** The key of a session came with another user's token than the one that began it. */
export function notYours (): ForbiddenError {
  return new ForbiddenError('The long-running session is another user\'s: its key goes with the caller who began it, or without one')
}

function anotherApps (): TokenAcquisitionError {
  return new TokenAcquisitionError('No token: the long-running session was begun as another app. Go on with it with the app section that it was begun with (authenticationOptionsName), or take another key', { retryable: false })
}

function hasBeenEnded (): UserTokenRequiredError {
  return new UserTokenRequiredError('The long-running session has been ended meanwhile: begin one in a request of the user')
}

function readSession (text: string | undefined): Session | undefined {
  if (text === undefined) return undefined
  const { owner, client, tenantId, refreshToken } = JSON.parse(text) as Session
  return { owner, client, tenantId, refreshToken }
}
