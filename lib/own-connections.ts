import type { Agent, Dispatcher } from 'undici'

/** Gives what carries requests, which may have to be opened first. */
export type GetDispatcher = () => Promise<Dispatcher>

/** Connections of the engine's own: undici is loaded, and they are opened, when they are asked for first, so that importing the package stays cheap. */
export class OwnConnections {
  #agent: Agent | undefined
  #isClosed = false

  /** @throws Error when they have been closed */
  readonly dispatcher = async (): Promise<Dispatcher> => {
    const { Agent } = await import('undici')
    if (this.#isClosed) throw new Error('the application is closing')
    return (this.#agent ??= new Agent())
  }

  /** Ends what they carry. */
  async close (): Promise<void> {
    this.#isClosed = true
    await this.#agent?.destroy()
  }
}
