import { LRUCache } from 'lru-cache'
import { IdentityWebError, TokenAcquisitionError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { SharedTokens } from '../store/shared-tokens.ts'
import { untilAborted } from '../until-aborted.ts'
import { Circuit } from './circuit.ts'
import { endsWithin, type Clock } from './clock.ts'
import { retrying } from './retry-rules.ts'
import { SingleFlight, type FlightContext } from './single-flight.ts'
import { diagnosticsOf, type MissingToken, type TokenDiagnostics } from './token-diagnostics.ts'
import { TokenEntry } from './token-entry.ts'
import { tell } from './token-events.ts'
import { isOfUser, suffixOf, tokenKey, type PreparedRequest, type TokenRequest } from './token-request.ts'
import type { Token, TokenSource } from './token.ts'

/**
 * Asks the identity provider for a token, once.
 *
 * @param replaced the token at hand, where the caller wants another one
 */
export type AskProvider = (request: TokenRequest, signal: AbortSignal, replaced?: Token) => Promise<Token>

export interface TokenEngineOptions {
  /** How many tokens are kept. */
  readonly maxEntries: number
  /** Milliseconds that one acquisition may take. */
  readonly tokenTimeout: number
  readonly ask: AskProvider
  /** The tokens that processes share. */
  readonly shared: SharedTokens | undefined
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
  readonly logger: Logger
}

/** A token, and where it came from. */
interface GivenToken {
  readonly token: Token
  readonly source: TokenSource
}

/** How a call wants its token. */
export interface AcquireOptions {
  /** Goes past the token at hand, and replaces it. */
  readonly forceRefresh?: boolean | undefined
  /** Ends the wait of this caller only. */
  readonly signal?: AbortSignal | undefined
}

/** Milliseconds for which another process that acquires the same token is waited for; a quarter of a short deadline. */
const PATIENCE = 2_500
/** Milliseconds after which a renewal that another process makes is looked for in the store. */
const LOOK_AGAIN = 2_000
/** How many looks in vain it takes until a renewal is no longer left to another process. */
const MAX_LOOKS = 2
/** Milliseconds that a probe of an identity provider that is failing may take. */
const PROBE_TIMEOUT = 3_000
/** How many eras a token may go without being used until others take its place. */
const ERAS = 8
/** How many identity providers, and how many requests without a token, are remembered. */
const MAX_REMEMBERED = 1_000

/**
 * Gives the token of a request.
 *
 * A token at hand is given at once: a fresh one as it is, a due one while it is renewed in the background. Only where there is none does a
 * caller wait, together with all who want the same.
 */
export class TokenEngine {
  readonly #options: TokenEngineOptions
  readonly #entries: LRUCache<string, TokenEntry>
  readonly #flights: SingleFlight<TokenEntry>
  readonly #circuits = new LRUCache<string, Circuit>({ max: MAX_REMEMBERED })
  readonly #missing = new LRUCache<string, MissingToken>({ max: MAX_REMEMBERED })
  /** The keys of what callers want another token for than is at hand, by the numbers of the acquisitions under way. */
  readonly #replacing = new Map<number, string>()
  /** How many acquisitions had begun when a caller or a session was forgotten, by what its keys end in: what those give is not kept. */
  readonly #forgotten = new LRUCache<string, number>({ max: MAX_REMEMBERED })
  /** How many acquisitions have begun. */
  #acquisitions = 0
  /** How many tokens have been put at hand in this era. */
  #kept = 0
  #era = 0
  #isClosed = false

  constructor (options: TokenEngineOptions) {
    this.#options = options
    this.#entries = new LRUCache({ max: options.maxEntries, dispose: entry => { entry.keptBy = undefined } })
    this.#flights = new SingleFlight(options.clock, options.tokenTimeout)
  }

  /** The token at hand; `undefined` where one must be waited for. Starts the renewal of one that is due. */
  atHand (prepared: PreparedRequest): Token | undefined {
    const { clock } = this.#options
    const elapsed = clock.elapsed()
    const entry = this.#find(prepared)
    if (entry === undefined) return undefined
    if (!entry.isFresh(elapsed, clock.now())) {
      if (entry.age === 'expired') return undefined
      this.#renew(prepared, entry)
    }
    return give(entry)
  }

  /**
   * @throws TokenAcquisitionError when the identity provider gives none
   * @throws the signal's own reason when the caller gives up
   */
  async acquire (prepared: PreparedRequest, { forceRefresh = false, signal }: AcquireOptions = {}): Promise<GivenToken> {
    signal?.throwIfAborted()
    const isNew = forceRefresh || prepared.request.claims !== undefined
    const atHand = isNew ? undefined : this.atHand(prepared)
    if (atHand !== undefined) return { token: atHand, source: 'cache' }
    if (this.#isClosed) throw closedError()

    return untilAborted(isNew ? this.#acquireNew(prepared) : this.#acquireMissing(prepared), signal)
  }

  /** What is known of every token at hand, and of the requests for which there is none. */
  diagnostics (): readonly TokenDiagnostics[] {
    const replacing = new Set(this.#replacing.values())
    const isUnderWay = (key: string) => this.#flights.has(key) || replacing.has(key)
    const entries = [...this.#entries.entries()].map(([key, entry]) => diagnosticsOf(entry, isUnderWay(key)))
    const missing = [...this.#missing.entries()].filter(([key]) => !this.#entries.has(key)).map(([key, missing]) => diagnosticsOf(missing, isUnderWay(key)))
    return Object.freeze([...entries, ...missing])
  }

  /** Forgets the token at hand, here only. */
  drop ({ key }: PreparedRequest): void {
    this.#entries.delete(key)
  }

  /**
   * Forgets the tokens at hand of a caller or a session, in the shared store too. What is under way is given to those who wait, and not kept.
   *
   * @param suffix what their keys end in
   */
  async forget (suffix: string): Promise<void> {
    this.#forgotten.set(suffix, this.#acquisitions)
    const keys = [...this.#entries.keys()].filter(key => key.endsWith(suffix))
    for (const key of keys) this.#entries.delete(key)
    await Promise.all(keys.map(key => this.#options.shared?.forget(key)))
  }

  /** Ends what is under way, and forgets all tokens. */
  async close (): Promise<void> {
    this.#isClosed = true
    await this.#flights.abortAll(closedError())
    await this.#options.shared?.close()
    this.#entries.clear()
  }

  /** The entry of a request. A request that is made again has it from the last time: it is looked up, and so counts as used, once in an era. */
  #find (prepared: PreparedRequest): TokenEntry | undefined {
    const last = prepared.entry
    if (last !== undefined && last.keptBy === this && last.usedIn === this.#era) return last
    const entry = this.#entries.get(prepared.key)
    if (entry !== undefined) entry.usedIn = this.#era
    prepared.entry = entry
    return entry
  }

  /** For a caller who has none. In the last seconds of a token, that is given where no new one comes in time. */
  async #acquireMissing (prepared: PreparedRequest): Promise<GivenToken> {
    const left = this.#entries.peek(prepared.key)?.left ?? 0
    const acquired = this.#join(prepared)
    if (left > 0 && !await endsWithin(this.#options.clock, left / 2, acquired)) {
      const last = this.#lastOf(prepared)
      if (last !== undefined) return { token: give(last), source: 'cache' }
    }
    try {
      const { token, source } = await acquired
      return { token, source }
    } catch (error) {
      const last = this.#lastOf(prepared)
      if (last === undefined) throw error
      if (last.age === 'expired') this.#renewalFailed(last, error)
      return { token: give(last), source: 'cache' }
    }
  }

  /** The token at hand to its very end. */
  #lastOf ({ key }: PreparedRequest): TokenEntry | undefined {
    const last = this.#entries.peek(key)
    return last !== undefined && last.left > 0 ? last : undefined
  }

  /** What comes of the acquisition or renewal that is under way, or else of a new acquisition. */
  async #join (prepared: PreparedRequest): Promise<TokenEntry> {
    const join = () => this.#fly(prepared.key, prepared, context => this.#obtain(prepared, context))
    const entry = await join()
    // A renewal that was joined may have left the work to another process, and the token at hand has ended.
    return entry.age === 'expired' ? join() : entry
  }

  /** For a caller who wants another one than is at hand: neither what was asked for before nor what is in the store will do. */
  async #acquireNew (prepared: PreparedRequest): Promise<GivenToken> {
    const { token, source } = await this.#fly(`new ${tokenKey(prepared.request)}`, prepared, async context => {
      const number = ++this.#acquisitions
      this.#replacing.set(number, prepared.key)
      const token = await this.#ask(prepared, context, this.#entries.peek(prepared.key)?.token).finally(() => this.#replacing.delete(number))
      if (this.#isNewest(prepared.key, number)) this.#options.shared?.keep(prepared, token)
      return this.#keep(prepared, { token, source: 'identity-provider' }, number, context)
    })
    return { token, source }
  }

  /** Renews a token that is due; what goes wrong is noted, and tried again later. */
  #renew (prepared: PreparedRequest, entry: TokenEntry): void {
    if (this.#isClosed || this.#flights.has(prepared.key)) return
    tell('renewal', prepared.description)
    this.#fly(prepared.key, prepared, context => this.#obtainNewer(prepared, context, entry)).catch((error: unknown) => this.#renewalFailed(entry, error))
  }

  #renewalFailed (entry: TokenEntry, error: unknown): void {
    const isNews = entry.renewalFailed(error, error instanceof TokenAcquisitionError ? error.retryAfter : undefined)
    if (this.#isClosed || !isNews) return
    const { flow, scopes, api } = entry.description
    this.#options.logger.warn({ err: error, flow, scopes, api, expiresOn: new Date(entry.token.expiresOn), nextRenewalOn: new Date(entry.renewOn) }, 'token renewal failed: the token at hand is used until it ends')
  }

  #fly (key: string, prepared: PreparedRequest, work: (context: FlightContext) => Promise<TokenEntry>): Promise<TokenEntry> {
    return this.#flights.run(key, work, () => deadlineError(prepared, this.#options.tokenTimeout))
  }

  /** A token from the store that processes share, or from the identity provider, for a caller who waits. */
  async #obtain (prepared: PreparedRequest, context: FlightContext): Promise<TokenEntry> {
    const { shared, tokenTimeout } = this.#options
    const number = ++this.#acquisitions
    const obtained = await shared?.obtain(prepared, {
      ask: () => this.#ask(prepared, context),
      isNewest: () => this.#isNewest(prepared.key, number),
      patience: Math.min(PATIENCE, tokenTimeout / 4),
      signal: context.signal,
    }) ?? { token: await this.#ask(prepared, context), source: 'identity-provider' as const }
    return this.#keep(prepared, obtained, number, context)
  }

  /** The same in place of a token that is due; that itself where the renewal is left to another process. */
  async #obtainNewer (prepared: PreparedRequest, context: FlightContext, due: TokenEntry): Promise<TokenEntry> {
    const number = ++this.#acquisitions
    const renewed = await this.#options.shared?.renew(prepared, {
      due: due.token,
      ask: () => this.#ask(prepared, context),
      isNewest: () => this.#isNewest(prepared.key, number),
      needsLease: due.looks < MAX_LOOKS,
      signal: context.signal,
    }) ?? { token: await this.#ask(prepared, context), source: 'identity-provider' as const }
    if (renewed !== 'theirs') return this.#keep(prepared, renewed, number, context)

    due.renewLater(LOOK_AGAIN)
    return due
  }

  /** Asks the identity provider, as often as the rules have it, unless it is known to be failing. */
  async #ask (prepared: PreparedRequest, { signal, deadline }: FlightContext, replaced?: Token): Promise<Token> {
    const { ask, clock, random } = this.#options
    const { request, key, provider, address, description } = prepared
    tell('acquisitionStart', description)
    this.#missing.set(key, { description, lastError: this.#missing.peek(key)?.lastError })
    try {
      // What does not listen to the signal must not hold the circuit.
      const token = await this.#circuitOf(address).run({ key, isOfUser: isOfUser(request) },
        isProbe => isProbe ? this.#probe(prepared, signal, replaced) : retrying(provider, () => untilAborted(ask(request, signal, replaced), signal), { clock, random, deadline, signal }))
      tell('acquisitionEnd', description, { source: 'identity-provider' })
      return token
    } catch (error) {
      tell('failure', description, { error })
      this.#missing.set(key, { description, lastError: error })
      throw error
    }
  }

  /** Asks once, and not for long: others are held off meanwhile. */
  async #probe (prepared: PreparedRequest, signal: AbortSignal, replaced: Token | undefined): Promise<Token> {
    const { ask, clock, tokenTimeout } = this.#options
    const limit = Math.min(PROBE_TIMEOUT, tokenTimeout)
    const deadline = new AbortController()
    const cancel = clock.after(limit, () => deadline.abort(deadlineError(prepared, limit)))
    const ends = AbortSignal.any([signal, deadline.signal])
    try {
      return await untilAborted(ask(prepared.request, ends, replaced), ends)
    } finally {
      cancel()
    }
  }

  #circuitOf (address: string): Circuit {
    const known = this.#circuits.get(address)
    if (known !== undefined) return known
    const circuit = new Circuit(this.#options.clock)
    this.#circuits.set(address, circuit)
    return circuit
  }

  /** Puts the token at hand, unless one is there that was asked for later. */
  #keep ({ key, description, endsOn }: PreparedRequest, { token, source }: GivenToken, number: number, { joins }: FlightContext): TokenEntry {
    const { clock, random } = this.#options
    const before = this.#entries.peek(key)
    const entry = new TokenEntry(token, { description, source, number, joins: joins(), endsOn, before, clock, random })
    this.#missing.delete(key)
    if (this.#isClosed || !this.#isNewest(key, number)) return entry
    this.#entries.set(key, entry)
    entry.keptBy = this
    this.#noteKept()
    entry.usedIn = this.#era
    this.#dropEnded()
    return entry
  }

  /** Only what comes makes others go: an era is as long as it takes until a part of what is at hand has come anew. */
  #noteKept (): void {
    if (++this.#kept < this.#entries.size / ERAS) return
    this.#kept = 0
    this.#era++
  }

  /** Whether no token is at hand that was asked for later, and it was not forgotten since. */
  #isNewest (key: string, number: number): boolean {
    const suffix = suffixOf(key)
    const isForgotten = suffix !== undefined && (this.#forgotten.get(suffix) ?? 0) >= number
    return !isForgotten && (this.#entries.peek(key)?.number ?? 0) <= number
  }

  /** Drops tokens that have ended, from the one that nobody has asked for for longest on, up to the first that has not ended. */
  #dropEnded (): void {
    for (let [oldest] = this.#entries.rkeys(); oldest !== undefined && this.#entries.peek(oldest)!.left <= 0; [oldest] = this.#entries.rkeys()) {
      this.#entries.delete(oldest)
    }
  }
}

function give (entry: TokenEntry): Token {
  entry.hits++
  tell('hit', entry.description)
  return entry.token
}

function closedError (): IdentityWebError {
  return new TokenAcquisitionError('No token: the application is closing', { retryable: false })
}

function deadlineError ({ provider }: PreparedRequest, timeout: number): TokenAcquisitionError {
  const who = provider === 'entra-id' ? 'Entra ID' : 'the managed identity endpoint of the platform'
  const hint = provider === 'entra-id' ? 'Check the network' : 'Check that this is an Azure resource which has a managed identity'
  return new TokenAcquisitionError(`No token: ${who} did not answer within ${Math.ceil(timeout)} ms. ${hint}, or raise tokenTimeout`, { retryable: true })
}
