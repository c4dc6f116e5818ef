import { Token } from '../tokens/token.ts'

/** A token as text, for a store. */
export function toStoredText ({ accessToken, tokenType, expiresOn, refreshOn, tenantId, scopes, correlationId }: Token): string {
  return JSON.stringify({ accessToken, tokenType, expiresOn, refreshOn, tenantId, scopes, correlationId })
}

/** The token that {@link toStoredText} has written; `undefined` for any other text. */
export function fromStoredText (text: string): Token | undefined {
  let stored: Partial<Record<string, unknown>> | null
  try {
    stored = JSON.parse(text) as typeof stored
  } catch {
    return undefined
  }
  const { accessToken, tokenType, expiresOn, refreshOn, tenantId, scopes, correlationId } = stored ?? {}
  const isToken = isText(accessToken) && isText(tokenType) && typeof expiresOn === 'number' && (refreshOn === undefined || typeof refreshOn === 'number') &&
    (tenantId === undefined || typeof tenantId === 'string') && Array.isArray(scopes) && scopes.every(isText) && isText(correlationId)
  if (!isToken) return undefined
  return new Token(accessToken, { tokenType, expiresOn, refreshOn: refreshOn as number | undefined, tenantId: tenantId as string | undefined, scopes, correlationId })
}

function isText (value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
