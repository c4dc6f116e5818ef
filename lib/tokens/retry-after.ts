/**
 * Seconds that a `Retry-After` header asks to wait, from its number of seconds or its date; `undefined` without a usable one.
 *
 * @see RFC 9110 section 10.2.3
 */
export function retryAfterSeconds (header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined
  if (/^\d+$/.test(header)) return Number(header)

  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - now) / 1000))
}
