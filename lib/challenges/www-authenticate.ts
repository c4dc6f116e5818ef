/** What a server asks for before it lets a request in (RFC 9110 section 11.3). */
export interface Challenge {
  /** In lower case. */
  readonly scheme: string
  /** What some schemes have instead of parameters. */
  readonly token68: string | undefined
  /** By their names in lower case. */
  readonly parameters: ReadonlyMap<string, string>
}

/** Characters of all values together; more than a server has reason to send. */
const MAX_LENGTH = 16_384

/**
 * The challenges of `WWW-Authenticate`, in order (RFC 9110 section 11.6.1).
 *
 * It never throws. Where a value does not follow the grammar, the challenge that the fault is in and the rest of that value are dropped. A challenge
 * with a parameter that is there twice is dropped too: which of them counts would be a guess. Values that lack their quotation marks,
 * as base64 with `=` often does, are taken up to the next space or comma. More than 16 KiB in all gives none.
 *
 * @param values of each header line, or of several that are joined by commas
 */
export function parseChallenges (values: string | readonly string[]): Challenge[] {
  const lines = [values].flat()
  if (lines.reduce((length, line) => length + line.length, 0) > MAX_LENGTH) return []
  return lines.flatMap(line => [...new Reader(line).challenges()])
}

/**
 * One challenge as a value of `WWW-Authenticate`. A value cannot leave its quotation marks or the line: what is no printable ASCII becomes a space.
 *
 * @param parameters in order; those that are `undefined` are left out
 */
export function formatChallenge (scheme: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const listed = Object.entries(parameters).flatMap(([name, value]) => value === undefined ? [] : [`${name}=${quoted(value)}`])
  return listed.length === 0 ? scheme : `${scheme} ${listed.join(', ')}`
}

function quoted (value: string): string {
  return `"${value.replace(/[^\x20-\x7e]/g, ' ').replace(/["\\]/g, '\\$&')}"`
}

/** Reads one line from left to right; no place is looked at more than a few times, so that the time grows with the length only. */
class Reader {
  readonly #text: string
  #at = 0

  constructor (text: string) {
    this.#text = text
  }

  * challenges (): Generator<Challenge> {
    for (;;) {
      this.#take(/[\t ,]*/y)
      const scheme = this.#take(/[\w!#$%&'*+.^`|~-]+/y)?.toLowerCase()
      if (scheme === undefined) return
      const isSpaced = this.#take(/[\t ]+/y) !== undefined
      const isBare = this.#isAtEndOfItem
      if (!isSpaced && !isBare) return

      const token68 = this.#take(/[\w.~+/-]+=*(?=[\t ]*(?:,|$))/y)
      const parameters = isBare || token68 !== undefined ? new Map<string, string>() : this.#parameters()
      if (parameters === 'malformed') return
      if (parameters !== 'doubled') yield { scheme, token68, parameters }
    }
  }

  /** Those of one challenge: what follows a comma and has no `=` is the next one's scheme. */
  #parameters (): ReadonlyMap<string, string> | 'doubled' | 'malformed' {
    const parameters = new Map<string, string>()
    let isDoubled = false
    for (let name = this.#name(); name !== undefined; name = this.#name()) {
      this.#take(/[\t ]*=[\t ]*/y)
      const value = this.#text[this.#at] === '"' ? this.#quoted() : this.#take(/[^\t ,"]+/y)
      this.#take(/[\t ]*/y)
      if (value === undefined || !this.#isAtEndOfItem) return 'malformed'

      isDoubled ||= parameters.has(name)
      parameters.set(name, value)
      this.#take(/[\t ,]*/y)
    }
    if (parameters.size === 0) return 'malformed'
    return isDoubled ? 'doubled' : parameters
  }

  /** The name of a parameter, if one comes next. */
  #name (): string | undefined {
    return this.#take(/[\w!#$%&'*+.^`|~-]+(?=[\t ]*=)/y)?.toLowerCase()
  }

  /** What is between quotation marks; `undefined` where they are not closed. */
  #quoted (): string | undefined {
    let value = ''
    for (let at = this.#at + 1, from = at; at < this.#text.length; at++) {
      const character = this.#text[at]
      if (character === '"') {
        this.#at = at + 1
        return value + this.#text.slice(from, at)
      }
      if (character !== '\\') continue
      value += this.#text.slice(from, at)
      from = ++at
    }
    return undefined
  }

  /** Of the line, or of one of the items that commas part. */
  get #isAtEndOfItem (): boolean {
    return this.#at === this.#text.length || this.#text[this.#at] === ','
  }

  #take (pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const [taken] = pattern.exec(this.#text) ?? []
    if (taken !== undefined) this.#at += taken.length
    return taken
  }
}
