import { jsonObject } from './json-object.ts'

/** What a signed JWT (RFC 7519) says, whatever stands where its signature does; `undefined` for text that is none. */
export function unverifiedClaims (text: string): Record<string, unknown> | undefined {
  const [, payload = '', signature] = text.split('.', 3)
  return signature === undefined ? undefined : jsonObject(Buffer.from(payload, 'base64url').toString())
}
