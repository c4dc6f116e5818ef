/** Header values by their names in lower case: those that came more than once as lists. */
export type HeaderValues = Readonly<Record<string, string | string[] | undefined>>

/** Headers by their values, or as they came over the wire: name and value in turn. */
export type AnswerHeaders = HeaderValues | readonly Buffer[]

const JSON_TYPE = 'application/json'
const SEMICOLON = 59

export function headerValues (headers: AnswerHeaders): HeaderValues {
  return isRaw(headers) ? parsed(headers) : headers
}

/** The value of one header, its first where it came more than once. */
export function headerValue (headers: AnswerHeaders, name: string): string | undefined {
  if (!isRaw(headers)) return [headers[name]].flat()[0]
  return rawValue(headers, name)?.toString('latin1')
}

/** Whether the media type is `application/json`, as nearly all are. It is only looked at, which costs less than to make text of it. */
export function isPlainJson (headers: AnswerHeaders): boolean {
  const mediaType = isRaw(headers) ? rawValue(headers, 'content-type') : undefined
  return mediaType !== undefined && isText(mediaType, JSON_TYPE) && (mediaType.length === JSON_TYPE.length || mediaType[JSON_TYPE.length] === SEMICOLON)
}

/** In undici's own way, which need not be loaded for it. */
function parsed (headers: readonly Buffer[]): HeaderValues {
  const values = new Map<string, string | string[]>()
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!.toString('latin1').toLowerCase()
    const value = headers[index + 1]!.toString('latin1')
    const before = values.get(name)
    if (before === undefined) values.set(name, value)
    else if (typeof before === 'string') values.set(name, [before, value])
    else before.push(value)
  }
  return Object.fromEntries(values)
}

function rawValue (headers: readonly Buffer[], name: string): Buffer | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    const given = headers[index]!
    if (given.length === name.length && isText(given, name)) return headers[index + 1]
  }
  return undefined
}

/** Whether `bytes` begin with `text`, which is in lower case, in any letter case. */
function isText (bytes: Buffer, text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = bytes[at]!
    const lower = code >= 65 && code <= 90 ? code + 32 : code
    if (lower !== text.charCodeAt(at)) return false
  }
  return true
}

function isRaw (headers: AnswerHeaders): headers is readonly Buffer[] {
  return Array.isArray(headers)
}
