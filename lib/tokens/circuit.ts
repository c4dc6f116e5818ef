import { LRUCache } from 'lru-cache'
import { ChallengeUserError, TokenAcquisitionError } from '../errors.ts'
import { SessionUnavailableError } from '../sessions/session-unavailable.ts'
import type { Clock } from './clock.ts'

/** Failures in a row after which somebody counts as failing. */
const THRESHOLD = 3
/** Failed probes after which the next is put off. */
const FREE_PROBES = 5
/** Milliseconds for which the first probe that is put off waits; doubled for every further one. */
const FIRST_HOLD = 50
/** Milliseconds for which callers are held off, at most; so long, at most, does a fault outlive itself. */
const LONGEST_HOLD = 2_000
/** How many keys of an address are remembered. */
const MAX_KEYS = 1_000
/** What endpoints answer to one identity, one resource or one caller: it says nothing to the others. */
const statusesOfKey: readonly (number | undefined)[] = [404, 410]

/** Who asks. */
export interface Subject {
  /** The key of the token. */
  readonly key: string
  /** Whether the answer is meant for one user. */
  readonly isOfUser: boolean
}

/** What failed last, and whose it was. */
interface Failure {
  readonly subject: Subject
  readonly error: TokenAcquisitionError
}

/**
 * Holds callers off an identity provider that is failing.
 *
 * A key that has failed three times in a row is held off by itself; when three different keys have failed in a row, all are who ask there.
 * Failures are those of the provider: no answer, or none but a fault. Throttling does not count, since it is meant for those who are
 * throttled. While callers are held off, one acquisition at a time goes through as a probe, and the others fail at once; when five probes
 * have failed, the next ones are put off, for two seconds at most. The first acquisition that succeeds ends it.
 */
export class Circuit {
  readonly #clock: Clock
  readonly #address: Gate
  readonly #keys = new LRUCache<string, Gate>({ max: MAX_KEYS })

  constructor (clock: Clock) {
    this.#clock = clock
    this.#address = new Gate(clock)
  }

  /** Whether all who ask are held off. */
  get isOpen (): boolean {
    return this.#address.isOpen
  }

  /**
   * The outcome of `acquire`, when it may be made.
   *
   * @param acquire is told whether it is a probe, for which the others do not wait long
   * @throws TokenAcquisitionError at once while the provider is failing and it is not this caller who finds out whether it still is
   */
  async run<T> (subject: Subject, acquire: (isProbe: boolean) => Promise<T>): Promise<T> {
    const gates = [this.#gateOf(subject), this.#address].filter(({ isOpen }) => isOpen)
    for (const gate of gates) gate.check(subject)
    for (const gate of gates) gate.isProbing = true
    try {
      return await this.#observed(subject, acquire, gates)
    } finally {
      for (const gate of gates) gate.isProbing = false
    }
  }

  async #observed<T> (subject: Subject, acquire: (isProbe: boolean) => Promise<T>, probed: readonly Gate[]): Promise<T> {
    try {
      const outcome = await acquire(probed.length > 0)
      this.#answered(subject)
      return outcome
    } catch (error) {
      if (error instanceof TokenAcquisitionError && !(error instanceof SessionUnavailableError)) this.#note({ subject, error }, probed)
      // Who asks for the user has answered.
      if (error instanceof ChallengeUserError) this.#answered(subject)
      throw error
    }
  }

  #note (failure: Failure, probed: readonly Gate[]): void {
    const { subject, error: { retryable, status } } = failure
    // A refusal is an answer: the provider works. Without a status, nobody was asked.
    if (!retryable && status !== undefined) this.#answered(subject)
    if (!retryable || status === 429) return
    const own = this.#gateOf(subject)
    this.#keys.set(subject.key, own)
    own.failed(failure, failure, probed.includes(own))
    if (!statusesOfKey.includes(status)) this.#address.failed(failure, subject.key, probed.includes(this.#address))
  }

  #answered ({ key }: Subject): void {
    this.#keys.get(key)?.close()
    this.#keys.delete(key)
    this.#address.close()
  }

  #gateOf ({ key }: Subject): Gate {
    return this.#keys.get(key) ?? new Gate(this.#clock)
  }
}

/** Opens on failures in a row, and lets one probe through at a time while it is open. */
class Gate {
  isProbing = false
  readonly #clock: Clock
  /** What tells the failures in a row apart: what is the same counts once. */
  readonly #marks = new Set<unknown>()
  #failedProbes = 0
  #last: Failure | undefined
  /** On {@link Clock.elapsed}: until when no probe is made. */
  #heldUntil = 0
  /** On {@link Clock.elapsed}: until when the provider asked to be left alone. */
  #askedUntil = 0

  constructor (clock: Clock) {
    this.#clock = clock
  }

  get isOpen (): boolean {
    return this.#marks.size >= THRESHOLD
  }

  /** @throws TokenAcquisitionError where this one may not be the probe */
  check (subject: Subject): void {
    if (this.isProbing || this.#clock.elapsed() < this.#heldUntil) throw this.#failFast(subject)
  }

  close (): void {
    this.#marks.clear()
    this.#failedProbes = 0
    this.#heldUntil = 0
    this.#askedUntil = 0
  }

  failed (failure: Failure, mark: unknown, wasProbe: boolean): void {
    const now = this.#clock.elapsed()
    const asked = (failure.error.retryAfter ?? 0) * 1000
    if (wasProbe) this.#failedProbes++
    const putOff = this.#failedProbes <= FREE_PROBES ? 0 : FIRST_HOLD * 2 ** (this.#failedProbes - FREE_PROBES - 1)
    this.#last = failure
    this.#heldUntil = Math.max(this.#heldUntil, now + Math.min(Math.max(asked, putOff), LONGEST_HOLD))
    this.#askedUntil = Math.max(this.#askedUntil, now + asked)
    if (!this.isOpen) this.#marks.add(mark)
  }

  /** What the provider said to one user is no other caller's business. */
  #failFast ({ key }: Subject): TokenAcquisitionError {
    const { subject, error } = this.#last!
    const cause = !subject.isOfUser || subject.key === key ? error : undefined
    return new TokenAcquisitionError(
      'No token: the identity provider has been failing, and it is found out by one acquisition at a time whether it still is. Try again later',
      { retryable: true, retryAfter: Math.max(1, Math.ceil((this.#askedUntil - this.#clock.elapsed()) / 1000)) }, { cause })
  }
}
