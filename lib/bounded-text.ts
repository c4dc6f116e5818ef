import type { Dispatcher } from 'undici'

/**
 * The body of an answer as text.
 *
 * @param limit bytes
 * @throws Error when it is longer
 */
export async function boundedText (body: Dispatcher.ResponseData['body'], limit: number): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > limit) throw new Error(`the answer is longer than ${limit} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
