import { randomBytes, randomUUID } from 'node:crypto'
import { mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** The key of an Azure Arc machine: a file that only those can read who may have its tokens. */
export class ArcKey {
  readonly #folder: string
  readonly #file: string
  readonly #value = randomBytes(48).toString('base64url')
  #isWritten = false
  /** The first folder on the way that was not there. */
  #madeFolder: string | undefined

  constructor (folder: string) {
    this.#folder = resolve(folder)
    this.#file = join(this.#folder, `fastify-identity-web-${randomUUID()}.key`)
  }

  /** What the `Authorization` header must be. */
  get authorization (): string {
    return `Basic ${this.#value}`
  }

  /**
   * What the `WWW-Authenticate` header says: where the key is.
   *
   * @throws Error when the file cannot be written
   */
  get challenge (): string {
    this.write()
    return `Basic realm=${this.#file}`
  }

  /**
   * Writes the file, unless it is there.
   *
   * @throws Error when it cannot
   */
  write (): void {
    if (this.#isWritten) return
    try {
      this.#madeFolder = mkdirSync(this.#folder, { recursive: true })
      writeFileSync(this.#file, this.#value, { mode: 0o600, flag: 'wx' })
    } catch (cause) {
      throw new Error(`the emulator's key of Azure Arc cannot be written to ${this.#folder}: let this process write there (MSAL reads keys from /var/opt/azcmagent/tokens only), or test with another managed identity source`, { cause })
    }
    this.#isWritten = true
  }

  /** Removes the file, and the folders that were made for it as far as nobody else uses them. */
  remove (): void {
    rmSync(this.#file, { force: true })
    if (this.#madeFolder === undefined) return
    try {
      for (let folder = this.#folder; folder.startsWith(this.#madeFolder); folder = dirname(folder)) rmdirSync(folder)
    } catch {}
  }
}
