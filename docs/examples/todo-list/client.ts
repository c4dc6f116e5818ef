import type { TodoList } from './web-api.ts'

/** What the web API answered a user. */
export type Answer =
  | { status: 200, list: TodoList }
  /** `challenge` says what the user must do, and is there with 401 and 403. */
  | { status: number, message: string, challenge: string | null }

/** The client of a user, such as a single-page application: it has signed the user in, and calls the web API with the user's token. */
export async function todosOf (webApi: string, userToken: string): Promise<Answer> {
  const response = await fetch(`${webApi}/todos/mine`, { headers: { authorization: `Bearer ${userToken}` } })
  if (response.status === 200) return { status: 200, list: await response.json() as TodoList }
  return { status: response.status, message: await response.text(), challenge: response.headers.get('www-authenticate') }
}
