const LONGEST = 200

/**
 * Why an operation of a store failed, for the log.
 *
 * The error itself stays out of the log, and so does part of its message: errors of Redis clients hold the command with its arguments,
 * Redis quotes arguments to a command that it refuses, and others quote their address with its password.
 */
export function failureReason (error: unknown): string {
  const { code, message } = Object(error) as { code?: unknown, message?: unknown }
  const told = [code, message].filter(part => typeof part === 'string' && part !== '').join(': ')
  return told === '' ? 'unknown' : withoutArguments(told).slice(0, LONGEST)
}

function withoutArguments (text: string): string {
  return text
    .replace(/, with args beginning with:.*/s, '')
    .replace(/\/\/[^\s/@]*@/g, '//***@')
    .replace(/[\w+/=-]{40,}/g, '***')
}
