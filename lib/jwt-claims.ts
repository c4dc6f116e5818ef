import { jsonObject } from './json-object.ts'

/** What a signed JWT (RFC 7519) says, which is not verified; `undefined` for any other text. */
export function unverifiedClaims (text: string): Record<string, unknown> | undefined {
  const [, payload] = /^[\w-]+\.([\w-]+)\.[\w-]+$/.exec(text) ?? []
  return payload === undefined ? undefined : jsonObject(Buffer.from(payload, 'base64url').toString())
}
