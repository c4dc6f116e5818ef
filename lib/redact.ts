/** `text` without any of the secrets that stand in it. */
export function redact (text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => secret === '' ? rest : rest.replaceAll(secret, '[redacted]'), text)
}
