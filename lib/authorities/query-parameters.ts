type Parameters = Readonly<Record<string, string>>

// RFC 6749, RFC 7521, RFC 7523, on-behalf-of and other ways to name a user, and what options of a call are sent as.
const oauthParameters = new Set([
  'client_id', 'client_secret', 'client_assertion', 'client_assertion_type', 'grant_type', 'scope', 'resource', 'assertion', 'requested_token_use',
  'code', 'code_verifier', 'redirect_uri', 'refresh_token', 'username', 'password',
  'sub_assertion', 'user_id', 'user_federated_identity_credential', 'claims', 'fmi_path', 'token_type', 'req_cnf', 'client-request-id',
])
/** What is said of a parameter that is not free. */
export const reservedParameterFault = 'OAuth gives this parameter a meaning, and the engine its value: use the option that is meant for it'

/** Whether a parameter may be added to token requests: none that decides what is asked for, or as whom. */
export function isFreeParameter (name: string): boolean {
  return !oauthParameters.has(name.trim().toLowerCase())
}

/** The parameters of both, by names without regard to letter case: `over` goes before `base`, under the name that `base` has for it. */
export function mergeParameters (base: Parameters, over: Parameters = {}): Record<string, string> {
  const merged = { ...base }
  const names = new Map(Object.keys(base).map(name => [name.toLowerCase(), name]))
  for (const [name, value] of Object.entries(over)) merged[names.get(name.toLowerCase()) ?? name] = value
  return merged
}
