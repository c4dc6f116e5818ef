import { jsonObject } from '../json-object.ts'
import { Token } from '../tokens/token.ts'

/** A token as text, for a store. */
export function toStoredText ({ accessToken, tokenType, expiresOn, refreshOn, tenantId, scopes, correlationId }: Token): string {
  return JSON.stringify({ accessToken, tokenType, expiresOn, refreshOn, tenantId, scopes, correlationId })
}

/** The token that {@link toStoredText} has written; `undefined` for any other text, as another version may have left it. */
export function fromStoredText (text: string): Token | undefined {
  const { accessToken, tokenType, expiresOn, refreshOn, tenantId, scopes, correlationId } = jsonObject(text) ?? {}
  const isToken = isWord(accessToken) && isWord(tokenType) && isTime(expiresOn) && (refreshOn === undefined || isTime(refreshOn)) &&
    (tenantId === undefined || isWord(tenantId)) && Array.isArray(scopes) && scopes.every(isWord) && isWord(correlationId)
  return isToken ? new Token(accessToken, { tokenType, expiresOn, refreshOn, tenantId, scopes, correlationId }) : undefined
}

/** The same token, as it is for a machine by whose clock it ends `earlier` milliseconds before that. */
export function endingEarlier (token: Token, earlier: number): Token {
  const { expiresOn, refreshOn } = token
  return token.with({ expiresOn: expiresOn - earlier, refreshOn: refreshOn && refreshOn - earlier })
}

/** Whether `value` can stand in a header. */
function isWord (value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)
}

/** JSON has numbers that are infinite: `1e999`. */
function isTime (value: unknown): value is number {
  return Number.isFinite(value)
}
