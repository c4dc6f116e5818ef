import { util } from 'undici'

/** Header values by their names in lower case: those that came more than once as lists. */
export type HeaderValues = Readonly<Record<string, string | string[] | undefined>>

/** Headers by their values, or as they came over the wire: name and value in turn. */
export type AnswerHeaders = HeaderValues | readonly Buffer[]

export function headerValues (headers: AnswerHeaders): HeaderValues {
  return isRaw(headers) ? util.parseHeaders([...headers]) as HeaderValues : headers
}

/** The value of one header, its first where it came more than once. */
export function headerValue (headers: AnswerHeaders, name: string): string | undefined {
  if (!isRaw(headers)) return [headers[name]].flat()[0]
  for (let index = 0; index < headers.length; index += 2) {
    const given = headers[index]!
    if (given.length === name.length && given.toString('latin1').toLowerCase() === name) return headers[index + 1]!.toString('latin1')
  }
  return undefined
}

function isRaw (headers: AnswerHeaders): headers is readonly Buffer[] {
  return Array.isArray(headers)
}
