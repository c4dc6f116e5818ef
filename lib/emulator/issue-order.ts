import { randomBytes } from 'node:crypto'

const LENGTH = 16
const NUMBER = 6

/**
 * The order in which tokens of users were issued. Times would not tell what came before a revocation: they are whole
 * seconds in a token, and a test does both in one.
 */
export class IssueOrder {
  #last = 0

  /** The number of the last token. */
  get last (): number {
    return this.#last
  }

  next (): number {
    return ++this.#last
  }
}

/** `uti` of a token, which begins with its number. */
export function utiOf (number: number): string {
  const bytes = randomBytes(LENGTH)
  bytes.writeUIntBE(number, 0, NUMBER)
  return bytes.toString('base64url')
}

/** The number of the token with that `uti`; 0, before all others, for an `uti` that a test has made up. */
export function numberOf (uti: unknown): number {
  const bytes = Buffer.from(String(uti), 'base64url')
  return bytes.length === LENGTH ? bytes.readUIntBE(0, NUMBER) : 0
}
