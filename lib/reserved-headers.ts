// The names that Microsoft.Identity.Web reserves, and those by which a platform hands an identity to the process.
const identityHeaders = ['authorization', 'cookie', 'host', 'x-original-url', 'forwarded', 'metadata', 'x-identity-header']
// RFC 9110 section 7.6.1, and what frames a message.
const connectionHeaders = ['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'te', 'trailer', 'upgrade', 'expect']
const reservedNames = new Set([...identityHeaders, ...connectionHeaders])
const reservedPrefixes = ['x-forwarded-', 'x-ms-token-', 'x-ms-client-principal', 'proxy-', 'sec-']

/** Whether a header may not be configured: it says who is calling, or is the connection's own business. */
export function isReservedHeader (name: string): boolean {
  const lower = name.toLowerCase()
  return reservedNames.has(lower) || reservedPrefixes.some(prefix => lower.startsWith(prefix))
}
