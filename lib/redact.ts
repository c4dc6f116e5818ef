/** `text` without any of the secrets that stand in it, as they are or as a URL, a form or JSON would write them. */
export function redact (text: string, secrets: readonly string[]): string {
  return secrets.filter(secret => secret !== '').flatMap(spellings).reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text)
}

function spellings (secret: string): string[] {
  return [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret.toWellFormed()), new URLSearchParams({ '': secret }).toString().slice(1)]
}
