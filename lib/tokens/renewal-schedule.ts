/** Of a token's life, in milliseconds: when it is renewed where the identity provider does not say. */
const FRACTION = 0.75
/** Renewal comes earlier by up to this part of the time before it, so that processes that started together do not renew together. */
const JITTER = 0.1
const FIRST_BACK_OFF = 1_000
const LONGEST_BACK_OFF = 300_000

/**
 * Milliseconds from the acquisition of a token to its renewal.
 *
 * @param life milliseconds from its acquisition to its end
 * @param refreshIn milliseconds after which the identity provider wants it renewed
 * @param random from 0 to 1
 */
export function renewalDelay (life: number, refreshIn: number | undefined, random: () => number): number {
  const wanted = refreshIn !== undefined && refreshIn > 0 && refreshIn < life ? refreshIn : life * FRACTION
  return wanted * (1 - JITTER * random())
}

/**
 * Milliseconds to the renewal of a token that was to be renewed before it came, from a store or a slow endpoint.
 *
 * @param overdue how many such tokens came in a row, this one included: they are not asked for ever faster
 */
export function overdueDelay (life: number, overdue: number, random: () => number): number {
  return Math.min(renewalBackOff(overdue, undefined, random), renewalDelay(life, undefined, random))
}

/**
 * Milliseconds from a failed renewal to the next.
 *
 * @param failures in a row, this one included
 * @param retryAfter seconds that the identity provider asked to wait; heeded up to five minutes
 */
export function renewalBackOff (failures: number, retryAfter: number | undefined, random: () => number): number {
  const grown = Math.min(FIRST_BACK_OFF * 2 ** (failures - 1), LONGEST_BACK_OFF)
  return Math.max(grown, Math.min((retryAfter ?? 0) * 1000, LONGEST_BACK_OFF)) * (1 + JITTER * random())
}
