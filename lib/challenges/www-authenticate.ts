/** TEMPORARY, a colleague's file takes its place. */
export function formatChallenge (scheme: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const listed = Object.entries(parameters).flatMap(([name, value]) => value === undefined ? [] : [`${name}="${value.replace(/[^\x20-\x7e]/g, ' ').replace(/["\\]/g, '\\$&')}"`])
  return listed.length === 0 ? scheme : `${scheme} ${listed.join(', ')}`
}
