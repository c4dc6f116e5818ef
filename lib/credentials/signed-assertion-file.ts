import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import type { Logger } from '../logger.ts'
import type { Clock } from '../tokens/clock.ts'
import type { ClientAuthentication, ClientCredential } from './client-credential.ts'
import { isJwt, MAX_LENGTH, SignedAssertion } from './signed-assertion.ts'

// A pipe is opened without waiting for a writer, so that it can be refused. On Windows, which has no such flag, it is nothing.
const READ = constants.O_RDONLY | constants.O_NONBLOCK

/** What the file held when it was read. */
interface Kept {
  readonly path: string
  /** By which it is seen that the file has changed; `undefined` when it is to be read again whatever it is. */
  readonly stamp: string | undefined
  readonly assertion: SignedAssertion
}

/**
 * A token that the platform writes into a file, and replaces there before it ends: Kubernetes does so for service accounts.
 * The file is read again when it has changed, and when its token nears its end.
 *
 * @see https://learn.microsoft.com/entra/workload-id/workload-identity-federation
 */
export class SignedAssertionFile implements ClientCredential {
  readonly #path: string | undefined
  readonly #where: string
  readonly #clock: Clock
  readonly #logger: Logger
  #kept: Kept | undefined
  #loading: Promise<string> | undefined
  #hasWarned = false

  /**
   * @param path without it, the file that the environment variable `AZURE_FEDERATED_TOKEN_FILE` names when it is read
   * @param where what the credential is called in log lines
   */
  constructor (path: string | undefined, where: string, { clock, logger }: { readonly clock: Clock, readonly logger: Logger }) {
    this.#path = path
    this.#where = where
    this.#clock = clock
    this.#logger = logger
  }

  async authenticate (): Promise<ClientAuthentication> {
    this.#loading ??= this.#load()
    const loading = this.#loading
    try {
      return { clientAssertion: await loading }
    } finally {
      if (this.#loading === loading) this.#loading = undefined
    }
  }

  /** The file is read when the app next proves itself, and by a look at it that begins after the refusal. */
  async reload (refused: ClientAuthentication): Promise<void> {
    this.#loading = undefined
    if (this.#kept !== undefined && 'clientAssertion' in refused && refused.clientAssertion === this.#kept.assertion.text) this.#kept = { ...this.#kept, stamp: undefined }
  }

  async #load (): Promise<string> {
    const path = this.#path ?? process.env['AZURE_FEDERATED_TOKEN_FILE']
    if (!path) throw new Error('there is no SignedAssertionFileDiskPath, and the environment variable AZURE_FEDERATED_TOKEN_FILE is not set either')

    const kept = this.#kept?.path === path ? this.#kept : undefined
    try {
      this.#kept = await this.#read(path, kept)
      this.#hasWarned = false
      return this.#kept.assertion.text
    } catch (error) {
      const reason = reasonOf(error)
      // The message may be answered to anybody: where the file is stands in the cause, for the log.
      if (kept === undefined || kept.assertion.hasEnded(this.#clock.now())) throw new Error(reason, { cause: new Error(`the file is ${path}`) })
      if (!this.#hasWarned) this.#logger.warn({ credential: this.#where, path, reason }, 'signed assertion not read again: the one that was read before is used until it ends')
      this.#hasWarned = true
      return kept.assertion.text
    }
  }

  /** What the file holds, or `kept` where that is still so. */
  async #read (path: string, kept: Kept | undefined): Promise<Kept> {
    const file = await open(path, READ)
    try {
      const stat = await file.stat()
      // Taken before the text is read: where a writer comes between, the next look sees that the file has changed.
      const stamp = `${stat.dev} ${stat.ino} ${stat.mtimeMs} ${stat.size}`
      const now = this.#clock.now()
      if (kept?.stamp === stamp && !kept.assertion.isDue(now)) return kept

      if (!stat.isFile()) throw new Refusal('it is no file, but a folder or a device: give the path of the token itself')
      const text = await textOf(file)
      if (!isJwt(text)) throw new Refusal('the file does not hold one signed token (a JWT): see what writes it')
      const assertion = new SignedAssertion(text, now)
      if (assertion.hasEnded(now)) throw new Refusal('the token in the file has ended: see why its platform has not replaced it')
      return { path, stamp, assertion }
    } finally {
      await file.close()
    }
  }
}

/** Why the file cannot be used, in words of our own. */
class Refusal extends Error {}

async function textOf (file: FileHandle): Promise<string> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_LENGTH + 1), 0, MAX_LENGTH + 1, 0)
  if (bytesRead > MAX_LENGTH) throw new Refusal(`the file is larger than ${MAX_LENGTH} bytes, and no token`)
  return buffer.toString('utf8', 0, bytesRead).trim()
}

function reasonOf (error: unknown): string {
  return error instanceof Refusal ? error.message : `the file cannot be read (${(error as NodeJS.ErrnoException).code}): correct its path, or let this process read it`
}
