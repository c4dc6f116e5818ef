import type { ClientAuthentication, ClientCredential } from './client-credential.ts'

/** A secret that the app shares with Entra ID. */
export class ClientSecret implements ClientCredential {
  readonly #clientSecret: string

  constructor (clientSecret: string) {
    this.#clientSecret = clientSecret
  }

  async authenticate (): Promise<ClientAuthentication> {
    return { clientSecret: this.#clientSecret }
  }
}
