// What an HTTP date looks like in its three forms: Date.parse() takes much more for a date, "1.5" for one.
const httpDate = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? (?:\d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT|\d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT|[A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4})$/

/**
 * Seconds that a `Retry-After` header asks to wait, from its number of seconds or its date; `undefined` without a usable one.
 *
 * @see RFC 9110 sections 5.6.7 and 10.2.3
 */
export function retryAfterSeconds (header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined
  if (/^\d+$/.test(header)) return Number(header)

  if (!httpDate.test(header)) return undefined
  // The oldest of the three forms leaves out that it is in GMT.
  const date = Date.parse(header.endsWith('GMT') ? header : `${header} GMT`)
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - now) / 1000))
}
